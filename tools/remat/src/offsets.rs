//! Places buffers.
use crate::error::Error;
use crate::options::Options;
/// Later.
pub fn all(_files: &[String], _options: &Options) -> Result<bool, Error> {
    Ok(true)
}
