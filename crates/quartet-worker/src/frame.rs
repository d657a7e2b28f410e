//! Length-delimited frames: four bytes of length (little endian), then MessagePack.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest frame that is written or accepted. A page of text is capped far below it;
/// the largest honest frame is a batch of embeddings.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// A frame that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe failed.
    #[error("the pipe failed: {0}")]
    Io(#[from] io::Error),
    /// The length says more than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is larger than the limit")]
    TooLarge(usize),
    /// The bytes are not a message of this protocol.
    #[error("a frame could not be understood: {0}")]
    Malformed(String),
}

/// One frame as bytes, length first.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0u8; 4];
    rmp_serde::encode::write_named(&mut bytes, message)
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge(length));
    }
    let prefix = u32::try_from(length).map_err(|_| FrameError::TooLarge(length))?;
    bytes[..4].copy_from_slice(&prefix.to_le_bytes());
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    rmp_serde::from_slice(payload).map_err(|error| FrameError::Malformed(error.to_string()))
}

fn checked_length(prefix: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME_BYTES { Err(FrameError::TooLarge(length)) } else { Ok(length) }
}

/// Writes one frame and flushes it.
pub(crate) fn write<T: Serialize>(writer: &mut impl Write, message: &T) -> Result<(), FrameError> {
    writer.write_all(&encode(message)?)?;
    writer.flush()?;
    Ok(())
}

/// Reads one frame; `None` at a clean end of file.
pub(crate) fn read<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut prefix = [0u8; 4];
    match reader.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut payload = vec![0u8; checked_length(prefix)?];
    reader.read_exact(&mut payload)?;
    decode(&payload).map(Some)
}

/// Reads one frame from an asynchronous pipe; `None` at a clean end of file.
pub(crate) async fn read_async<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, FrameError> {
    let mut prefix = [0u8; 4];
    match reader.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut payload = vec![0u8; checked_length(prefix)?];
    reader.read_exact(&mut payload).await?;
    decode(&payload).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(text in ".*", values in prop::collection::vec(any::<f32>(), 0..64)) {
            let message = (text, values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
            let mut pipe = Vec::new();
            write(&mut pipe, &message).unwrap();
            write(&mut pipe, &message).unwrap();
            let mut reader = pipe.as_slice();
            prop_assert_eq!(read(&mut reader).unwrap(), Some(message.clone()));
            prop_assert_eq!(read(&mut reader).unwrap(), Some(message));
            prop_assert_eq!(read::<(String, Vec<u32>)>(&mut reader).unwrap(), None);
        }

        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = read::<(String, Vec<u32>)>(&mut bytes.as_slice());
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_memory_is_taken() {
        let bytes = u32::MAX.to_le_bytes();
        let error = read::<String>(&mut bytes.as_slice()).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge(_)), "{error}");
    }

    #[test]
    fn a_frame_cut_in_the_middle_is_an_error() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"a sentence").unwrap();
        pipe.truncate(pipe.len() - 1);
        assert!(read::<String>(&mut pipe.as_slice()).is_err());
    }
}
