//! Chunks to messages and back, with the chunk sizes that clients really use.

use std::hint::black_box;
use std::io::BufReader;

use criterion::{BenchmarkId, Criterion, Throughput};
use gortmp::media::{Packet, Timestamp};
use gortmp::rtmp::MessageType;
use gortmp::rtmp::chunk::{ChunkReader, ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::message::media_message;

use super::content;

/// The default, what OBS and nginx-rtmp send with, and what this crate does.
const CHUNK_SIZES: [u32; 3] = [128, 4096, 60_000];

/// Bytes of the buffer between socket and reader, as the server has it.
const BUFFER: usize = 32 * 1024;

pub fn benches(criterion: &mut Criterion) {
    for (name, packets) in [("camera second", content::camera_second()), ("key frame", vec![content::key_frame(0)])] {
        for chunk_size in CHUNK_SIZES {
            let messages = messages(chunk_size, &packets);
            let chunks = write(&messages, Vec::new());
            assert_eq!(read_all(&chunks), messages, "{name}, chunks of {chunk_size}");
            bench(criterion, name, chunk_size, &messages, &chunks);
        }
    }
}

fn bench(criterion: &mut Criterion, name: &str, chunk_size: u32, messages: &[RawMessage], chunks: &[u8]) {
    let mut group = criterion.benchmark_group(format!("chunks: {name}"));
    group.throughput(Throughput::Bytes(chunks.len() as u64));
    group.bench_function(BenchmarkId::new("read", chunk_size), |bencher| {
        bencher.iter(|| read_and_drop(black_box(chunks), messages.len()));
    });
    let mut out = Vec::new();
    group.bench_function(BenchmarkId::new("write", chunk_size), |bencher| {
        bencher.iter(|| {
            out = write(black_box(messages), std::mem::take(&mut out));
            black_box(&out);
        });
    });
    group.finish();
}

/// What a publisher sends: Set Chunk Size, then the packets.
fn messages(chunk_size: u32, packets: &[Packet]) -> Vec<RawMessage> {
    let announcement = RawMessage {
        chunk_stream_id: ChunkStreamId::CONTROL,
        timestamp: Timestamp::ZERO,
        type_id: MessageType::SetChunkSize.number(),
        stream_id: 0,
        payload: chunk_size.to_be_bytes().to_vec().into(),
    };
    let media = packets.iter().map(|packet| media_message(packet.clone(), 1));
    std::iter::once(announcement).chain(media).collect()
}

/// Writes into the memory of `out`, which is emptied before.
fn write(messages: &[RawMessage], mut out: Vec<u8>) -> Vec<u8> {
    out.clear();
    let mut writer = ChunkWriter::new();
    messages.iter().for_each(|message| writer.write(message, &mut out));
    out
}

fn reader(chunks: &[u8]) -> ChunkReader<BufReader<&[u8]>> {
    ChunkReader::new(BufReader::with_capacity(BUFFER, chunks))
}

fn read_all(chunks: &[u8]) -> Vec<RawMessage> {
    let mut reader = reader(chunks);
    std::iter::from_fn(|| reader.read_message().ok()).collect()
}

fn read_and_drop(chunks: &[u8], count: usize) {
    let mut reader = reader(chunks);
    for _ in 0..count {
        black_box(reader.read_message().expect("a message"));
    }
}
