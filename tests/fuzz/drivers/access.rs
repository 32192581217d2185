//! Names, and what stands behind them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use gortmp::access::{Access, AccessConfig, Admission, Operation, Origin, Secret};
use gortmp::session::StreamPath;
use gortmp::vod::Library;

/// What nobody guesses.
const KEY: &str = "8f1d1a0c-correct-horse";

struct House {
    access: Access,
    library: Library,
    /// Holds the folder of the library, and beside it what is not to be had.
    _dir: tempfile::TempDir,
}

fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let videos = dir.path().join("videos");
        std::fs::create_dir_all(videos.join("sub")).expect("a folder");
        for outside in ["a.flv", "secret", "x"] {
            std::fs::write(dir.path().join(outside), b"FLV\x01\x05\0\0\0\x09\0\0\0\0").expect("a file");
        }
        let mut config = AccessConfig::default();
        config.publish.key = Some(Secret::new(KEY));
        config.play.key = Some(Secret::new(KEY));
        config.ask_password = true;
        House { access: Access::new(config).expect("keys"), library: Library::new(videos), _dir: dir }
    })
}

/// An application and a name, cut at the first zero.
pub fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (app, name) = text.split_once('\0').unwrap_or((&text, ""));
    let Ok(path) = StreamPath::new(app, name) else { return };
    assert!(!path.app.contains('/') && !path.name.starts_with('/'));
    assert!(!path.to_string().contains(|c: char| c.is_control()), "a log's line stays one");
    let (house, ip) = (house(), IpAddr::from(Ipv4Addr::LOCALHOST));
    let has_key = text.contains(KEY);
    let admission = house.access.admit(&path, "FMLE/3.0", ip);
    if let Admission::Granted(verified) = admission {
        let origin = Origin { ip, is_http: false, is_tls: false };
        for operation in [Operation::Publish, Operation::Play] {
            let allowed = house.access.check(operation, &path, origin, &verified).is_ok();
            assert!(!allowed || has_key, "in without the key");
        }
    }
    // The folder is empty, and what lies beside it is out of reach.
    assert!(house.library.open(&path.name).is_err());
    assert!(house.library.open(name).is_err());
}
