//! Values of both encodings.

/// An AMF0 (specification of 2007) or AMF3 (2013) value.
///
/// Text that is not UTF-8 is decoded with replacement characters: clients send names in any encoding, which is no
/// reason to close a connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A double, the only number type of AMF0.
    Number(f64),
    /// A 29-bit signed integer, AMF3 only. In AMF0 it is encoded as a number.
    Integer(i32),
    /// True or false.
    Boolean(bool),
    /// A string; in AMF0 a long string if over 65,535 bytes.
    String(String),
    /// An anonymous object.
    Object(Object),
    /// An object of a named class.
    TypedObject {
        /// The class name.
        class: String,
        /// Its members.
        object: Object,
    },
    /// An associative array; in AMF3 an array with keys.
    EcmaArray(Object),
    /// An array without keys.
    StrictArray(Vec<Value>),
    /// A point in time.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: f64,
        /// Minutes east of UTC; reserved, 0 in practice. AMF0 only.
        time_zone: i16,
    },
    /// An XML document, as its text.
    Xml(String),
    /// Raw bytes, AMF3 only.
    ByteArray(Vec<u8>),
    /// Null.
    Null,
    /// Undefined.
    Undefined,
    /// A value that its sender could not encode, AMF0 only.
    Unsupported,
}

impl Value {
    /// Returns the value of a [`Number`](Self::Number) or [`Integer`](Self::Integer).
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Integer(integer) => Some(f64::from(*integer)),
            _ => None,
        }
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of a boolean, or whether a number is not 0, since some clients send numbers.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => self.as_number().map(|number| number != 0.0),
        }
    }

    /// Returns the members of an object, typed object or ECMA array.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) | Self::TypedObject { object, .. } => Some(object),
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Keys and values in wire order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// Creates an object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a member and returns the object, to build one in a single expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.push(key, value);
        self
    }

    /// Appends a member, even if the key exists already: the last one takes precedence.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// Returns the value of a key, the last one if it occurs more than once.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Removes every member with this key, and returns whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, _)| name != key);
        self.0.len() < before
    }

    /// Iterates over the members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        Self(members.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Generates nested values of every kind. Numbers are finite, since NaN does not equal itself.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let number = -1e15..1e15;
        let leaf = prop_oneof![
            number.clone().prop_map(Value::Number),
            (-(1 << 28)..1 << 28).prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            "\\PC{0,12}".prop_map(Value::String),
            number.prop_map(|unix_ms| Value::Date { unix_ms, time_zone: 0 }),
            "\\PC{0,12}".prop_map(Value::Xml),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::ByteArray),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let object = proptest::collection::vec(("[a-z]{1,4}", inner.clone()), 1..4).prop_map(Object::from_iter);
            prop_oneof![
                object.clone().prop_map(Value::Object),
                object.clone().prop_map(Value::EcmaArray),
                ("[A-Z]{1,4}", object).prop_map(|(class, object)| Value::TypedObject { class, object }),
                proptest::collection::vec(inner, 0..4).prop_map(Value::StrictArray),
            ]
        })
    }

    impl Value {
        /// Returns the value as it is after AMF0: integers become numbers, except inside a nested AMF3 value.
        pub fn without_integers(self) -> Self {
            let members =
                |object: Object| object.0.into_iter().map(|(key, value)| (key, value.without_integers())).collect();
            match self {
                Self::Integer(integer) => Self::Number(integer.into()),
                Self::StrictArray(items) => Self::StrictArray(items.into_iter().map(Self::without_integers).collect()),
                Self::Object(object) => Self::Object(members(object)),
                Self::EcmaArray(object) => Self::EcmaArray(members(object)),
                Self::TypedObject { class, object } => Self::TypedObject { class, object: members(object) },
                other => other,
            }
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_takes_precedence_and_order_is_kept() {
        let mut object = Object::new().with("b", 1.0).with("a", 2.0).with("b", 3.0);
        assert_eq!(object.get("b"), Some(&Value::Number(3.0)));
        assert_eq!(object.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "a", "b"]);
        assert!(object.remove("b") && !object.remove("b"));
        assert_eq!(object.len(), 1);
    }
}
