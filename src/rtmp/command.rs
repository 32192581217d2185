//! Command messages (RTMP 1.0 §7.2): a name, a transaction id, a command object, arguments.
//!
//! ```text
//! name string | transaction id number | command object: object or null | arguments, any number
//! ```

use crate::amf::{Object, Value, amf0};
use crate::error::{Error, Result};
use crate::rtmp::status::StatusCode;

/// A command, or the response to one (`_result`, `_error`).
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Command name, for example `connect`.
    pub name: String,
    /// Transaction id, which the response repeats; 0 requests no response.
    pub transaction_id: f64,
    /// Command object: properties, or null.
    pub object: Value,
    /// Arguments after the command object.
    pub arguments: Vec<Value>,
}

impl Command {
    /// Creates a command with transaction id 0 and no command object.
    pub fn new(name: impl Into<String>, arguments: Vec<Value>) -> Self {
        Self { name: name.into(), transaction_id: 0.0, object: Value::Null, arguments }
    }

    /// Creates the `_result` for the command with that transaction id.
    pub fn result(transaction_id: f64, object: Value, argument: Value) -> Self {
        Self { transaction_id, object, ..Self::new("_result", vec![argument]) }
    }

    /// Creates the `_error` for the command with that transaction id.
    pub fn error(transaction_id: f64, info: Object) -> Self {
        Self { transaction_id, ..Self::new("_error", vec![info.into()]) }
    }

    /// Creates an `onStatus` with the info object of that code.
    pub fn status(code: StatusCode, description: impl Into<String>) -> Self {
        Self::new("onStatus", vec![code.info(description).into()])
    }

    /// Returns the argument at an index, or undefined where the sender left it out.
    pub fn argument(&self, index: usize) -> &Value {
        self.arguments.get(index).unwrap_or(&Value::Undefined)
    }

    /// Decodes the payload of a command message of type 20, or of type 17 after its first byte.
    ///
    /// Real clients leave values out and append their own: only the name is required, a missing transaction id is 0,
    /// and a value that can't be read after the command object ends the arguments.
    ///
    /// # Errors
    /// [`Error::Amf`] or [`Error::Message`] if the first three values can't be read or are not those of a command.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut values = amf0::Decoder::new(payload);
        let Some(Value::String(name)) = values.next().transpose()? else {
            return Err(Error::message("command", "it does not begin with a name"));
        };
        let transaction_id = values.next().transpose()?.and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().transpose()?.unwrap_or(Value::Null);
        let arguments = values.map_while(Result::ok).collect();
        Ok(Self { name, transaction_id, object, arguments })
    }

    /// Encodes the payload of a command message of type 20.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(256);
        amf0::encode(&Value::String(self.name.clone()), &mut payload);
        amf0::encode(&Value::Number(self.transaction_id), &mut payload);
        amf0::encode(&self.object, &mut payload);
        for argument in &self.arguments {
            amf0::encode(argument, &mut payload);
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publish_as_on_the_wire() {
        let bytes = b"\x02\x00\x07publish\x00\x40\x14\0\0\0\0\0\0\x05\x02\x00\x03cam\x02\x00\x04live";
        let command =
            Command { transaction_id: 5.0, ..Command::new("publish", vec![Value::from("cam"), Value::from("live")]) };
        assert_eq!(command.encode(), bytes);
        assert_eq!(Command::decode(bytes).unwrap(), command);
    }

    #[test]
    fn missing_values_have_defaults() {
        let command = Command::decode(b"\x02\x00\x04play").unwrap();
        assert_eq!(command, Command::new("play", Vec::new()));
        assert_eq!(command.argument(0), &Value::Undefined);
    }

    #[test]
    fn invalid_data_after_the_command_object_ends_the_arguments() {
        let command = Command::decode(b"\x02\x00\x04play\x00\0\0\0\0\0\0\0\0\x05\x02\x00\x01a\xff\xff").unwrap();
        assert_eq!(command.arguments, [Value::from("a")]);
    }

    #[test]
    fn a_command_needs_a_name() {
        assert!(Command::decode(b"").is_err());
        assert!(Command::decode(b"\x05").is_err());
        assert!(Command::decode(b"\x02\x00\x09play").is_err());
    }
}
