//! What keeps a crowd of clients within bounds that none of them sees alone: bytes held together, things done in a
//! second, lines in the log.

mod budget;
mod complaints;
mod panics;
mod rate;
mod small_file;

pub use budget::{Budget, Share};
pub use complaints::Complaints;
pub use panics::{log_panics, survive};
pub use rate::Bucket;
pub(crate) use small_file::read_small_file;
