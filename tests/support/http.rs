//! HTTP byte by byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use gortmp::flv;
use gortmp::media::Packet;

use super::Server;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection to a server's HTTP port.
pub struct Http(pub BufReader<TcpStream>);

impl Http {
    pub fn open(server: &Server) -> Self {
        Self::at(server.http.expect("a server with HTTP"))
    }

    /// To a proxy, for one.
    pub fn at(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self(BufReader::new(socket))
    }

    pub fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it takes what it is told");
    }

    /// Asks with these further lines.
    pub fn request(&mut self, method: &str, path: &str, lines: &str) {
        self.say(&format!("{method} {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n"));
    }

    /// The head of an answer.
    pub fn head(&mut self) -> Answer {
        let mut lines = (&mut self.0).lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty());
        let status = lines.next().expect("an answer");
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let field = |line: String| {
            let (name, value) = line.split_once(": ").expect("a field");
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Answer { status, headers: lines.map(field).collect(), body: Vec::new() }
    }

    /// A whole answer.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks().expect("whole chunks");
            return answer;
        }
        match answer.header("content-length").map(|length| length.parse().expect("a number")) {
            Some(length) => {
                answer.body = vec![0; length];
                self.0.read_exact(&mut answer.body).expect("as much as it said");
            }
            None if ![204, 304].contains(&answer.status) => drop(self.0.read_to_end(&mut answer.body)),
            None => {}
        }
        answer
    }

    /// A body in chunks; an error if it breaks off before the last one.
    pub fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        Chunked::new(&mut self.0).read_to_end(&mut body).map(|_| body)
    }

    /// The live stream as FLV behind an answer's head, from now on.
    pub fn flv(mut self) -> flv::Reader<impl Read + use<>> {
        let head = self.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("video/x-flv")), "{head:?}");
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        flv::Reader::new(Chunked::new(self.0)).expect("an FLV header")
    }
}

/// What is in chunks (RFC 9112 §7.1).
pub struct Chunked<R> {
    from: R,
    left: usize,
    has_ended: bool,
}

impl<R> Chunked<R> {
    pub fn new(from: R) -> Self {
        Self { from, left: 0, has_ended: false }
    }
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.has_ended {
            let mut line = String::new();
            self.from.read_line(&mut line)?;
            let size = line.strip_suffix("\r\n").and_then(|size| usize::from_str_radix(size, 16).ok());
            self.left = size.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.has_ended = self.left == 0;
            if self.has_ended {
                self.end_chunk()?;
            }
        }
        if self.has_ended {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let count = self.from.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        if self.left == 0 && count > 0 {
            self.end_chunk()?;
        }
        Ok(count)
    }
}

impl<R: BufRead> Chunked<R> {
    fn end_chunk(&mut self) -> io::Result<()> {
        let mut end = [0; 2];
        self.from.read_exact(&mut end)?;
        assert_eq!(&end, b"\r\n", "behind a chunk");
        Ok(())
    }
}

/// Asks for a path on a connection of its own.
pub fn get(server: &Server, path: &str) -> Answer {
    let mut http = Http::open(server);
    http.request("GET", path, "Connection: close\r\n");
    http.answer()
}

/// The live stream of that path as FLV.
pub fn get_flv(server: &Server, path: &str) -> flv::Reader<impl Read + use<>> {
    let mut http = Http::open(server);
    http.request("GET", path, "");
    http.flv()
}

/// The next packets of a stream.
pub fn packets(reader: &mut flv::Reader<impl Read>, count: usize) -> Vec<Packet> {
    let next = || reader.next_packet().expect("FLV").expect("a packet");
    std::iter::repeat_with(next).take(count).collect()
}
