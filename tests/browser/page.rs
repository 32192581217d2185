//! Parts of the page that need no browser, under Node's own runner.

use std::path::Path;

use crate::alone;
use crate::support::tool;

#[test]
fn the_scripts_of_the_page_do_what_their_tests_say() {
    let _alone = alone();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let output = tool("node", "nodejs").args(["--test", "--test-reporter", "tap"]).current_dir(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let passed = text.lines().find_map(|line| line.strip_prefix("# pass ")).and_then(|count| count.parse::<u32>().ok());
    assert!(passed > Some(40), "only {passed:?} were run");
}
