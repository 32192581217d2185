//! The tags of an FLV file.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use gortmp::flv::{Reader, Writer};
use gortmp::media::Packet;

use super::content;

pub fn benches(criterion: &mut Criterion) {
    for (name, packets) in [("camera second", content::camera_second()), ("key frame", vec![content::key_frame(0)])] {
        let file = write(&packets, Vec::new());
        assert_eq!(read_all(&file), packets, "{name}");
        let mut group = criterion.benchmark_group(format!("flv: {name}"));
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function("read", |bencher| bencher.iter(|| read_and_drop(black_box(&file), packets.len())));
        let mut out = Vec::new();
        group.bench_function("write", |bencher| {
            bencher.iter(|| {
                out = write(black_box(&packets), std::mem::take(&mut out));
                black_box(&out);
            });
        });
        group.finish();
    }
}

/// Writes into the memory of `out`, which is emptied before.
fn write(packets: &[Packet], mut out: Vec<u8>) -> Vec<u8> {
    out.clear();
    let mut writer = Writer::new(out, true, true).expect("a header");
    packets.iter().for_each(|packet| writer.write_packet(packet).expect("a tag"));
    writer.into_inner()
}

fn read_all(file: &[u8]) -> Vec<Packet> {
    let mut reader = Reader::new(file).expect("a header");
    std::iter::from_fn(|| reader.next_packet().expect("no damage")).collect()
}

fn read_and_drop(file: &[u8], count: usize) {
    let mut reader = Reader::new(file).expect("a header");
    for _ in 0..count {
        black_box(reader.next_packet().expect("no damage"));
    }
}
