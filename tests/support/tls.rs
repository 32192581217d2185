//! A way into a server over TLS for clients that speak none, which can misbehave on it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// Makes a certificate for this machine in a folder, by the script for it, and returns its file and that of its key.
pub fn make_certificate(dir: &Path) -> [PathBuf; 2] {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/make-certificate.sh");
    let output = Command::new(script).arg("--out").arg(dir).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ["cert.pem", "key.pem"].map(|name| dir.join(name))
}

/// Options of a server that listens for RTMPS on a port of its own, with a certificate that is made in a folder.
pub fn options(dir: &Path) -> [String; 6] {
    let [cert, key] = make_certificate(dir).map(|path| path.to_str().expect("a plain path").to_owned());
    ["--tls-listen".into(), "127.0.0.1:0".into(), "--tls-cert".into(), cert, "--tls-key".into(), key]
}

/// Believes any certificate: which it is does not matter here.
#[derive(Debug)]
struct AcceptAnyCertificate;

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What a client goes by that believes any certificate.
pub fn accept_any_certificate() -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate))
        .with_no_client_auth();
    Arc::new(config)
}

/// A bridge for one client: plain TCP on this side, TLS on the server's.
pub struct Bridge {
    pub address: SocketAddr,
    /// Of what the client sends next, only half of a record goes out until this is off again.
    pub sends_half: Arc<AtomicBool>,
    /// How many writes of the client have gone on, the last perhaps in half.
    pub forwarded: Arc<AtomicUsize>,
    /// Records without anything for the application go out as fast as they can.
    pub floods: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Bridge {
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its number");
        let (sends_half, floods) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let forwarded = Arc::new(AtomicUsize::new(0));
        let (half, flood, count) = (sends_half.clone(), floods.clone(), forwarded.clone());
        let thread = std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let socket = TcpStream::connect(server).expect("the server");
            socket.set_nodelay(true).expect("a socket option");
            run(&client, &socket, &half, &flood, &count);
        });
        Self { address, sends_half, forwarded, floods, thread }
    }
}

fn run(client: &TcpStream, server: &TcpStream, half: &AtomicBool, flood: &AtomicBool, forwarded: &AtomicUsize) {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(accept_any_certificate(), name).expect("a client's side of TLS");
    while tls.is_handshaking() {
        if tls.complete_io(&mut &*server).is_err() {
            return;
        }
    }
    let tls = Mutex::new(tls);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            to_client(client, server, &tls);
            is_over.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if flood.load(Ordering::Relaxed) && key_update(server, &tls).is_err() {
                    return;
                }
                std::thread::sleep(if flood.load(Ordering::Relaxed) {
                    Duration::ZERO
                } else {
                    Duration::from_millis(5)
                });
            }
        });
        to_server(client, server, &tls, half, forwarded);
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// A record that a reader gets nothing of.
fn key_update(server: &TcpStream, tls: &Mutex<ClientConnection>) -> std::io::Result<()> {
    let mut tls = tls.lock().expect("no panic");
    tls.refresh_traffic_keys().map_err(std::io::Error::other)?;
    while tls.wants_write() {
        tls.write_tls(&mut &*server)?;
    }
    Ok(())
}

fn to_client(mut client: &TcpStream, mut server: &TcpStream, tls: &Mutex<ClientConnection>) {
    let (mut records, mut plain) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    while let Ok(count @ 1..) = server.read(&mut records) {
        let mut unread = &records[..count];
        let mut tls = tls.lock().expect("no panic");
        while !unread.is_empty() {
            if tls.read_tls(&mut unread).is_err() || tls.process_new_packets().is_err() {
                return;
            }
            while let Ok(count @ 1..) = tls.reader().read(&mut plain) {
                if client.write_all(&plain[..count]).is_err() {
                    return;
                }
            }
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn to_server(
    mut client: &TcpStream,
    mut server: &TcpStream,
    tls: &Mutex<ClientConnection>,
    half: &AtomicBool,
    forwarded: &AtomicUsize,
) {
    let mut plain = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = client.read(&mut plain) {
        let mut records = Vec::new();
        {
            let mut tls = tls.lock().expect("no panic");
            if tls.writer().write_all(&plain[..count]).is_err() {
                return;
            }
            while tls.wants_write() {
                let _ = tls.write_tls(&mut records);
            }
        }
        let first = if half.load(Ordering::Relaxed) { records.len() / 2 } else { records.len() };
        let _ = server.write_all(&records[..first]);
        forwarded.fetch_add(1, Ordering::Relaxed);
        while half.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = server.write_all(&records[first..]);
    }
}
