//! A small client of PostgreSQL's protocol version 3, over a socket of its own: what a driver hides is in sight here.
//! It counts the rows it has read from the socket; that count is what the access log is held against.

mod answer;

use answer::{names, row, text};
pub use answer::{Answer, Fields, Row};
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// The socket file.
    Unix(PathBuf),
    /// Address and port, without TLS.
    Tcp(SocketAddr),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects; a server that hangs ends a read after two minutes instead of never.
    fn open(target: &Target) -> io::Result<Stream> {
        let limit = Some(Duration::from_secs(120));
        Ok(match target {
            Target::Unix(path) => {
                let s = UnixStream::connect(path)?;
                s.set_read_timeout(limit)?;
                Stream::Unix(s)
            }
            Target::Tcp(address) => {
                let s = TcpStream::connect(address)?;
                s.set_read_timeout(limit)?;
                Stream::Tcp(s)
            }
        })
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.read(buf),
            Stream::Tcp(s) => s.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.write(buf),
            Stream::Tcp(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a connection introduces itself.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Login role.
    pub user: &'a str,
    /// Database.
    pub database: &'a str,
    /// Start-up parameters beside user and database: `options`, `application_name`, `replication`.
    pub parameters: Vec<(&'a str, &'a str)>,
}

/// A session.
pub struct Conn {
    stream: BufReader<Stream>,
    target: Target,
    out: Vec<u8>,
    /// Process id of its backend.
    pub pid: i32,
    /// Notices that came before the first query.
    pub greeting: Vec<Fields>,
    secret: i32,
}

impl Conn {
    /// Opens a session; an error that the server gave, or that the socket gave as `08001`.
    pub fn open(target: &Target, start: &Start<'_>) -> Result<Conn, Fields> {
        Self::try_open(target, start)
            .unwrap_or_else(|e| Err(Fields([('C', "08001".to_string()), ('M', e.to_string())].into_iter().collect())))
    }

    fn try_open(target: &Target, start: &Start<'_>) -> io::Result<Result<Conn, Fields>> {
        let stream = BufReader::new(Stream::open(target)?);
        let mut conn =
            Conn { stream, target: target.clone(), out: Vec::new(), pid: 0, greeting: Vec::new(), secret: 0 };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        let fixed = [("user", start.user), ("database", start.database)];
        for (name, value) in fixed.into_iter().chain(start.parameters.iter().copied()) {
            put_text(&mut body, name);
            put_text(&mut body, value);
        }
        body.push(0);
        conn.out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
        conn.out.extend_from_slice(&body);
        conn.send()?;
        loop {
            let (kind, body) = conn.message()?;
            match kind {
                b'E' => return Ok(Err(Fields::parse(&body))),
                b'K' => {
                    conn.pid = i32::from_be_bytes([body[0], body[1], body[2], body[3]]);
                    conn.secret = i32::from_be_bytes([body[4], body[5], body[6], body[7]]);
                }
                b'N' => conn.greeting.push(Fields::parse(&body)),
                b'R' => assert_eq!(body[..4], [0; 4], "only trust authentication is spoken here"),
                b'Z' => return Ok(Ok(conn)),
                _ => {}
            }
        }
    }

    /// Sends what was queued.
    pub fn send(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.get_mut().write_all(&out)
    }

    /// Queues a message.
    pub fn put(&mut self, kind: u8, body: &[u8]) -> &mut Self {
        self.out.push(kind);
        self.out.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
        self.out.extend_from_slice(body);
        self
    }

    /// The next message: its type and body.
    pub fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }

    /// Simple query, to its end.
    pub fn query(&mut self, sql: &str) -> Answer {
        self.begin(sql);
        self.finish()
    }

    /// Sends a simple query and reads nothing yet.
    pub fn begin(&mut self, sql: &str) {
        let mut body = Vec::new();
        put_text(&mut body, sql);
        // a server that is gone is noticed when the answer is read
        let _ = self.put(b'Q', &body).send();
    }

    /// Reads until this many rows have come, or something else ended the answer.
    pub fn take(&mut self, answer: &mut Answer, rows: usize) {
        while answer.received < rows && !answer.closed {
            if self.step(answer) {
                break;
            }
        }
    }

    /// Reads to ReadyForQuery.
    pub fn finish(&mut self) -> Answer {
        let mut answer = Answer::default();
        self.finish_into(&mut answer);
        answer
    }

    /// Reads to ReadyForQuery, adding to what came before.
    pub fn finish_into(&mut self, answer: &mut Answer) {
        while !self.step(answer) {}
    }

    /// One message into the answer; true at the end.
    fn step(&mut self, answer: &mut Answer) -> bool {
        let Ok((kind, body)) = self.message() else {
            answer.closed = true;
            return true;
        };
        if matches!(kind, b'D' | b'd') {
            answer.row_bytes += body.len() + 5;
        }
        match kind {
            b'D' => {
                answer.received += 1;
                if answer.rows.len() < Answer::KEPT {
                    answer.rows.push(row(&body));
                }
            }
            b'd' => {
                answer.copied.push(String::from_utf8_lossy(&body).into_owned());
                answer.copied_bytes.extend_from_slice(&body);
            }
            b'T' => answer.columns = names(&body),
            b'C' => answer.tags.push(text(&body)),
            b'E' => {
                let fields = Fields::parse(&body);
                answer.error.get_or_insert(fields);
            }
            b'N' => answer.notices.push(Fields::parse(&body)),
            b's' => answer.suspended = true,
            // the result of a function call message: length, bytes
            b'V' => answer.rows.push(vec![Some(String::from_utf8_lossy(&body[4..]).into_owned())]),
            // the server wants COPY data that we did not announce
            b'G' => {
                let _ = self.put(b'f', b"not here\0").send();
            }
            b'Z' => return true,
            _ => {}
        }
        false
    }

    /// COPY … FROM STDIN with this data.
    pub fn copy_in(&mut self, sql: &str, data: impl AsRef<[u8]>) -> Answer {
        self.begin(sql);
        let mut answer = Answer::default();
        loop {
            match self.message() {
                Ok((b'G', _)) => {
                    let _ = self.put(b'd', data.as_ref()).put(b'c', b"").send();
                }
                Ok((b'E', body)) => answer.error = Some(Fields::parse(&body)),
                Ok((b'C', body)) => answer.tags.push(text(&body)),
                Ok((b'Z', _)) => return answer,
                Ok(_) => {}
                Err(_) => {
                    answer.closed = true;
                    return answer;
                }
            }
        }
    }

    /// Queues Parse.
    pub fn parse(&mut self, statement: &str, sql: &str) -> &mut Self {
        self.parse_typed(statement, sql, &[])
    }

    /// Queues Parse with the types of the first parameters, by OID; 0 leaves one to the server.
    pub fn parse_typed(&mut self, statement: &str, sql: &str, types: &[u32]) -> &mut Self {
        let mut body = Vec::new();
        put_text(&mut body, statement);
        put_text(&mut body, sql);
        body.extend_from_slice(&(types.len() as i16).to_be_bytes());
        types.iter().for_each(|oid| body.extend_from_slice(&oid.to_be_bytes()));
        self.put(b'P', &body)
    }

    /// Queues Bind with text parameters.
    pub fn bind(&mut self, portal: &str, statement: &str, parameters: &[Option<&str>]) -> &mut Self {
        self.bind_in(0, portal, statement, parameters)
    }

    /// Queues Bind with all parameters in one format: 0 is text, 1 binary.
    pub fn bind_in(&mut self, format: i16, portal: &str, statement: &str, parameters: &[Option<&str>]) -> &mut Self {
        let mut body = Vec::new();
        put_text(&mut body, portal);
        put_text(&mut body, statement);
        body.extend_from_slice(&1_i16.to_be_bytes());
        body.extend_from_slice(&format.to_be_bytes());
        body.extend_from_slice(&(parameters.len() as i16).to_be_bytes());
        for parameter in parameters {
            match parameter {
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
                Some(value) => {
                    body.extend_from_slice(&(value.len() as i32).to_be_bytes());
                    body.extend_from_slice(value.as_bytes());
                }
            }
        }
        body.extend_from_slice(&[0, 0]);
        self.put(b'B', &body)
    }

    /// Queues Describe of a portal (`P`) or statement (`S`).
    pub fn describe(&mut self, what: u8, name: &str) -> &mut Self {
        let mut body = vec![what];
        put_text(&mut body, name);
        self.put(b'D', &body)
    }

    /// Queues Execute; at most this many rows, 0 for all.
    pub fn execute(&mut self, portal: &str, rows: i32) -> &mut Self {
        let mut body = Vec::new();
        put_text(&mut body, portal);
        body.extend_from_slice(&rows.to_be_bytes());
        self.put(b'E', &body)
    }

    /// Queues Flush.
    pub fn flush(&mut self) -> &mut Self {
        self.put(b'H', b"")
    }

    /// Queues Sync, sends all, reads to ReadyForQuery.
    pub fn sync(&mut self) -> Answer {
        let _ = self.put(b'S', b"").send();
        self.finish()
    }

    /// One statement by the extended protocol, all rows.
    pub fn extended(&mut self, sql: &str, parameters: &[Option<&str>]) -> Answer {
        self.parse("", sql).bind("", "", parameters).describe(b'P', "").execute("", 0);
        self.sync()
    }

    /// A function call message: no parser, planner or executor on its way.
    pub fn call(&mut self, function: u32, arguments: &[&str]) -> Answer {
        let mut body = function.to_be_bytes().to_vec();
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&(arguments.len() as i16).to_be_bytes());
        for argument in arguments {
            body.extend_from_slice(&(argument.len() as i32).to_be_bytes());
            body.extend_from_slice(argument.as_bytes());
        }
        body.extend_from_slice(&[0, 0]);
        let _ = self.put(b'F', &body).send();
        self.finish()
    }

    /// Asks the server, over a second connection, to cancel what this session runs.
    pub fn cancel(&self) {
        let mut stream = Stream::open(&self.target).expect("connect for a cancel request");
        let mut body = 16_i32.to_be_bytes().to_vec();
        for word in [80_877_102, self.pid, self.secret] {
            body.extend_from_slice(&word.to_be_bytes());
        }
        stream.write_all(&body).expect("send a cancel request");
        // the postmaster closes the connection once the signal is sent
        let _ = stream.read(&mut [0; 1]);
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
    body.push(0);
}
