//! The body of an answer over HTTP, as it comes.

/// Where in an answer what comes next belongs.
#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// Everything up to the end of the connection.
    Whole,
    /// The size of a chunk.
    Size,
    /// So many bytes of a chunk are still to come.
    Chunk(usize),
    /// The line's end behind a chunk.
    ChunkEnd(usize),
    /// Behind the last chunk.
    End,
}

/// Takes an answer apart.
#[derive(Debug, Default)]
pub struct Body {
    state: State,
    line: Vec<u8>,
}

impl Body {
    /// Hands on what of the next bytes belongs to the body.
    ///
    /// # Errors
    /// What the server answered instead of 200, or what is no chunk.
    pub fn feed(&mut self, mut bytes: &[u8], mut with: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        while let Some((&first, rest)) = bytes.split_first() {
            match self.state {
                State::Whole => return with(bytes),
                State::End => return Err(format!("{} bytes behind the last chunk", bytes.len())),
                State::Chunk(left) => {
                    let (data, behind) = bytes.split_at(left.min(bytes.len()));
                    with(data)?;
                    self.state = if data.len() < left { State::Chunk(left - data.len()) } else { State::ChunkEnd(2) };
                    bytes = behind;
                    continue;
                }
                State::ChunkEnd(left) => self.state = if left > 1 { State::ChunkEnd(left - 1) } else { State::Size },
                State::Head | State::Size => self.line.push(first),
            }
            bytes = rest;
            match self.state {
                State::Head if self.line.ends_with(b"\r\n\r\n") => {
                    let head = String::from_utf8_lossy(&self.line).to_ascii_lowercase();
                    if !head.starts_with("http/1.1 200 ") {
                        return Err(format!("it answered {}", head.escape_debug()));
                    }
                    self.state =
                        if head.contains("\r\ntransfer-encoding: chunked\r\n") { State::Size } else { State::Whole };
                    self.line.clear();
                }
                State::Size if self.line.ends_with(b"\r\n") => {
                    let size = std::str::from_utf8(&self.line)
                        .ok()
                        .and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
                    let size = size.ok_or_else(|| format!("no chunk: {}", self.line.escape_ascii()))?;
                    self.state = if size == 0 { State::End } else { State::Chunk(size) };
                    self.line.clear();
                }
                _ => {}
            }
            if matches!(self.state, State::End) && bytes == b"\r\n" {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the body has begun.
    pub fn has_begun(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    /// Whether the connection may end here.
    pub fn authorize_admin(&self) -> bool {
        matches!(self.state, State::Whole | State::End)
    }
}
