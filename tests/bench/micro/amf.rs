//! The values in front of a stream, in both encodings.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use gortmp::Result;
use gortmp::amf::{Value, amf0, amf3};

use super::content;

type Decode = fn(&[u8]) -> Result<Vec<Value>>;
type Encode = fn(&Value, &mut Vec<u8>);

/// Both encodings by name.
const ENCODINGS: [(&str, Decode, Encode); 2] =
    [("amf0", amf0::decode_all, amf0::encode), ("amf3", amf3::decode_all, amf3::encode)];

pub fn benches(criterion: &mut Criterion) {
    for (encoding, decode, encode) in ENCODINGS {
        let mut group = criterion.benchmark_group(encoding);
        for (name, values) in [("connect", content::connect()), ("onMetaData", content::on_metadata())] {
            let mut bytes = Vec::new();
            encode_all(encode, &values, &mut bytes);
            assert_eq!(decode(&bytes).expect("what was written"), values, "{encoding}, {name}");
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(BenchmarkId::new("decode", name), |bencher| {
                bencher.iter(|| decode(black_box(&bytes)));
            });
            let mut out = Vec::new();
            group.bench_function(BenchmarkId::new("encode", name), |bencher| {
                bencher.iter(|| {
                    encode_all(encode, black_box(&values), &mut out);
                    black_box(&out);
                });
            });
        }
        group.finish();
    }
}

/// Writes into the memory of `out`, which is emptied before.
fn encode_all(encode: Encode, values: &[Value], out: &mut Vec<u8>) {
    out.clear();
    values.iter().for_each(|value| encode(value, out));
}
