//! Whether a store can be used, found out by using it.

use super::backend::Mode;
use super::error::Result;
use super::key::Key;
use super::pack;
use super::remote::Remote;
use gg_ir::Name;

/// The same each time, so that nothing piles up.
const TEXT: &[u8] = b"gg was here to see whether this store can be used\n";

/// What a store that can be used does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// It refuses to write over what is there, where that is asked for. Without, of two machines that write the same thing at
    /// once the later one wins, which is the same thing.
    pub conditional: bool,
}

impl Remote {
    /// Writes a small object, and reads it.
    ///
    /// # Errors
    /// What the first request that failed says; [`super::RemoteError::Corrupt`] when something else is read than was written.
    pub async fn probe(&self) -> Result<Probe> {
        let key = Key::Object(Name::of_value(TEXT));
        let frame = pack::compress(TEXT).map_err(|error| self.backend().corrupt(&key, error))?;
        self.backend().put(&key, frame.clone().into(), Mode::Over).await?;
        if self.backend().get(&key, None).await? != frame {
            return Err(self.backend().corrupt(&key, "it is not what was written just now"));
        }
        Ok(Probe { conditional: !self.backend().put_new(&key, frame.into()).await? })
    }
}
