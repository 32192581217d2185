//! The guide's tables of limits are those of `src/limits.rs`. `UPDATE=1 cargo test guide` writes the full one anew.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use crate::markdown::{self, Text, root};

const BEGIN: &str = "<!-- limits: made from src/limits.rs -->\n";
const END: &str = "<!-- end of limits -->";

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Count(u64),
    Time(Duration),
    Range(Box<Value>, Box<Value>),
}

/// A constant as the source has it.
struct Limit {
    name: String,
    value: Value,
    reason: String,
}

/// All constants of the source, in its order.
fn limits() -> Vec<Limit> {
    let source = std::fs::read_to_string(root().join("src/limits.rs")).unwrap();
    let mut values = HashMap::new();
    let mut limits = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
        } else if let Some((_, constant)) = line.split_once("const ").filter(|(before, _)| before.starts_with("pub")) {
            let mut constant = constant.to_owned();
            while !constant.ends_with(';') {
                constant.push_str(lines.next().expect("the end of a constant").trim());
            }
            let (head, expression) = constant.trim_end_matches(';').split_once(" = ").unwrap();
            let name = head.split(':').next().unwrap().to_owned();
            let value = evaluate(expression, &values);
            assert!(!docs.is_empty(), "{name} has no reason");
            let reason = docs.join(" ").replace("[`", "`").replace("`]", "`").replace('|', "\\|");
            values.insert(name.clone(), value.clone());
            limits.push(Limit { name, value, reason });
            docs.clear();
        }
    }
    assert!(limits.len() > 100, "{} limits only", limits.len());
    limits
}

fn evaluate(expression: &str, known: &HashMap<String, Value>) -> Value {
    let expression = expression.trim();
    if let Some((least, most)) = expression.split_once("..=") {
        return Value::Range(evaluate(least, known).into(), evaluate(most, known).into());
    }
    for (call, unit) in [("from_secs(", 1_000_000), ("from_millis(", 1_000), ("from_micros(", 1)] {
        if let Some(argument) = expression.strip_prefix("Duration::").and_then(|rest| rest.strip_prefix(call)) {
            let Value::Count(count) = evaluate(argument.strip_suffix(')').unwrap(), known) else {
                panic!("{expression}")
            };
            return Value::Time(Duration::from_micros(count * unit));
        }
    }
    if let Some((minuend, subtrahend)) = expression.split_once(" - ") {
        return Value::Count(count(minuend, known) - count(subtrahend, known));
    }
    if expression.contains(" * ") {
        return Value::Count(expression.split(" * ").map(|factor| count(factor, known)).product());
    }
    match expression.replace('_', "").parse() {
        Ok(number) => Value::Count(number),
        Err(_) => known.get(expression).unwrap_or_else(|| panic!("what is {expression:?}?")).clone(),
    }
}

fn count(expression: &str, known: &HashMap<String, Value>) -> u64 {
    match evaluate(expression, known) {
        Value::Count(count) => count,
        other => panic!("{expression} is {other:?}"),
    }
}

/// As one reads it, with its unit.
fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Range(least, most) => format!("{} to {}", shown(name, least), shown(name, most)),
        Value::Time(time) => shown_time(*time),
        Value::Count(count) if name.ends_with("_MS") => shown_time(Duration::from_millis(*count)),
        Value::Count(count) if name.contains("BYTES") => shown_bytes(*count),
        Value::Count(count) => thousands(*count),
    }
}

fn shown_time(time: Duration) -> String {
    let (seconds, micros) = (time.as_secs(), time.subsec_micros());
    match (seconds, micros) {
        (1.., 0) if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        (120.., 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (1.., 0) => format!("{seconds} s"),
        (0, 1..500_000) => format!("{} ms", f64::from(micros) / 1000.0),
        _ => format!("{} s", time.as_secs_f64()),
    }
}

fn shown_bytes(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes.is_multiple_of(size) && bytes > 1024 {
            return format!("{} {unit}", thousands(bytes / size));
        }
    }
    format!("{} bytes", thousands(bytes))
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn values_are_shown_with_their_units() {
    let known = HashMap::from([("A".to_owned(), Value::Time(Duration::from_secs(8)))]);
    for (name, expression, expected) in [
        ("X_BYTES", "8 * 1024 * 1024", "8 MiB"),
        ("X_BYTES", "1024", "1,024 bytes"),
        ("X_BYTES", "16 * 1024 * 1024 - 1", "16,777,215 bytes"),
        ("X", "172_800", "172,800"),
        ("X", "Duration::from_secs(4 * 60 * 60)", "4 h"),
        ("X", "Duration::from_secs(90)", "90 s"),
        ("X", "Duration::from_millis(600)", "0.6 s"),
        ("X", "Duration::from_micros(100)", "0.1 ms"),
        ("X_MS", "3_600_000", "1 h"),
        ("X", "Duration::from_millis(100)..=A", "100 ms to 8 s"),
    ] {
        assert_eq!(shown(name, &evaluate(expression, &known)), expected, "{expression}");
    }
}

#[test]
fn the_guide_has_the_limits_of_the_code() {
    let mut table = "\n| constant | value | what and why |\n|---|---|---|\n".to_owned();
    for limit in limits() {
        writeln!(table, "| `{}` | {} | {} |", limit.name, shown(&limit.name, &limit.value), limit.reason).unwrap();
    }
    let chapter = Text::read("src/guide/limits.md");
    let (before, rest) = chapter.content.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{table}\n{END}{after}");
    if markdown::updates() {
        std::fs::write(root().join(&chapter.path), expected).unwrap();
    } else {
        assert!(chapter.content == expected, "src/guide/limits.md is not as src/limits.rs: UPDATE=1 cargo test guide");
    }
}

/// The table of those that one may meet is written by hand: its last column names the constants whose values it states.
#[test]
fn limits_that_the_guide_states_are_those_of_the_code() {
    let all: HashMap<_, _> =
        limits().into_iter().map(|limit| (limit.name.clone(), shown(&limit.name, &limit.value))).collect();
    let chapter = Text::read("src/guide/reliability.md");
    let (_, rest) = chapter.content.split_once("| what | limit | what happens there | constants |\n").unwrap();
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        for name in cells[4].split('`').skip(1).step_by(2) {
            let value = all.get(name).unwrap_or_else(|| panic!("there is no limit {name}"));
            // A unit that follows in the sentence need not be repeated: "32 and 128 KiB".
            let number = value.split(' ').next().unwrap();
            assert!(
                cells[2].contains(value.as_str()) || (value == number && cells[2].contains(number)),
                "{name} is {value}, not {:?}",
                cells[2]
            );
            count += 1;
        }
    }
    assert!(count > 45, "{count} values only");
}
