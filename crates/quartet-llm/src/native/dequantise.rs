//! Stored numbers as 32-bit ones, exactly as llama.cpp reads them.

use llama_cpp_sys_2 as sys;
use quartet_gguf::TensorType;
use quartet_types::{Error, ErrorCode, Result};

/// Turns stored blocks into numbers; `out` says how many.
///
/// # Errors
/// `NotSupported` for a storage type that ggml cannot turn into numbers.
pub(crate) fn dequantise(kind: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    if kind.bytes_of(&[out.len() as u64]) != Some(bytes.len() as u64) {
        return Err(Error::internal("blocks and numbers do not match"));
    }
    if kind == TensorType::F32 {
        for (value, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        return Ok(());
    }
    // SAFETY: the table of traits is static and has an entry for every number that our table of
    // types has, which a test compares with ggml's own.
    let to_float = unsafe {
        let traits = sys::ggml_get_type_traits(kind.number() as sys::ggml_type);
        traits.as_ref().and_then(|traits| traits.to_float)
    };
    let to_float = to_float.ok_or_else(|| {
        Error::new(
            ErrorCode::NotSupported,
            format!("tensors stored as {} cannot be read as numbers", kind.name()),
        )
    })?;
    // Blocks begin with 16-bit numbers or with 32-bit ones, and a list of bytes may begin anywhere.
    let mut aligned = vec![0u64; bytes.len().div_ceil(8)];
    // SAFETY: the copy is as long as the bytes at least and does not overlap them; the call
    // reads as many blocks as `out.len()` numbers take, which is checked above, and writes
    // `out.len()` numbers.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), aligned.as_mut_ptr().cast(), bytes.len());
        to_float(aligned.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_gguf::{f16_from_f32, f32_from_f16};

    #[test]
    fn known_blocks_give_known_numbers() {
        let mut out = [0f32; 2];
        let bytes: Vec<u8> = [1.5f32, -2.25].iter().flat_map(|value| value.to_le_bytes()).collect();
        dequantise(TensorType::F32, &bytes, &mut out).unwrap();
        assert_eq!(out, [1.5, -2.25]);

        let bytes: Vec<u8> =
            [0.1f32, -7.0].iter().flat_map(|value| f16_from_f32(*value).to_le_bytes()).collect();
        dequantise(TensorType::F16, &bytes, &mut out).unwrap();
        assert_eq!(out, [f32_from_f16(f16_from_f32(0.1)), -7.0]);

        // Q8_0: a 16-bit scale, then 32 signed bytes.
        let mut block = f16_from_f32(0.5).to_le_bytes().to_vec();
        block.extend((-16i8..16).map(|value| value as u8));
        let mut out = [0f32; 32];
        // An odd address must not matter.
        let mut odd = vec![0u8];
        odd.extend(&block);
        dequantise(TensorType::Q8_0, &odd[1..], &mut out).unwrap();
        assert_eq!((out[0], out[31]), (-8.0, 7.5));
    }

    #[test]
    fn what_does_not_match_is_an_error() {
        assert!(dequantise(TensorType::F32, &[0; 7], &mut [0.0; 2]).is_err());
        assert!(dequantise(TensorType::Q8_0, &[0; 34], &mut [0.0; 31]).is_err());
        let error = dequantise(TensorType::I32, &[0; 4], &mut [0.0; 1]).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotSupported);
    }
}
