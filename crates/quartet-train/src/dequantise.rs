//! Stored blocks to 32-bit floats.
//!
//! The block layouts are those of ggml (`ggml-common.h`, `dequantize_row_*` in `ggml-quants.c`):
//! a scale (and perhaps a minimum) per block of 32 or per sub-block of a block of 256, and small
//! integers. The trainer reads the very bytes that the engine serves.

use quartet_gguf::{TensorType, f32_from_f16};
use quartet_types::{Error, ErrorCode, Result};

/// The sixteen levels of the non-linear four-bit types.
const LEVELS: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];

type BlockReader = fn(&[u8], &mut [f32]);

/// Whether weights stored as `kind` can be trained through.
#[must_use]
pub fn is_supported(kind: TensorType) -> bool {
    reader(kind).is_some()
}

/// Writes the values of `bytes`, whole blocks of `kind`, to `out`.
///
/// # Errors
/// `NotSupported` for a storage type without a reader, `BadModel` where the lengths do not match.
pub fn dequantise(kind: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    let read = reader(kind).ok_or_else(|| {
        Error::new(
            ErrorCode::NotSupported,
            format!("weights stored as {} cannot be trained", kind.name()),
        )
        .hint("Use a file quantised as Q4_K_M, Q5_K_M, Q6_K, Q8_0, F16, BF16 or F32.")
    })?;
    let (elements, size) = (kind.block_elements() as usize, kind.block_bytes() as usize);
    if !bytes.len().is_multiple_of(size) || bytes.len() / size * elements != out.len() {
        return Err(Error::new(
            ErrorCode::BadModel,
            format!("{} bytes of {} are not {} values", bytes.len(), kind.name(), out.len()),
        ));
    }
    for (block, values) in bytes.chunks_exact(size).zip(out.chunks_exact_mut(elements)) {
        read(block, values);
    }
    Ok(())
}

fn reader(kind: TensorType) -> Option<BlockReader> {
    Some(match kind.name() {
        "F32" => |b, y| y[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        "F16" => |b, y| y[0] = half(b, 0),
        "BF16" => |b, y| y[0] = f32::from_bits(u32::from(word(b, 0)) << 16),
        "Q4_0" => q4_0,
        "Q4_1" => q4_1,
        "Q5_0" => q5_0,
        "Q5_1" => q5_1,
        "Q8_0" => q8_0,
        "Q2_K" => q2_k,
        "Q3_K" => q3_k,
        "Q4_K" => q4_k,
        "Q5_K" => q5_k,
        "Q6_K" => q6_k,
        "IQ4_NL" => iq4_nl,
        "IQ4_XS" => iq4_xs,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f32_from_f16(word(bytes, at))
}

fn q4_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, byte) in block[2..18].iter().enumerate() {
        out[index] = (f32::from(byte & 15) - 8.0) * scale;
        out[index + 16] = (f32::from(byte >> 4) - 8.0) * scale;
    }
}

fn q4_1(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for (index, byte) in block[4..20].iter().enumerate() {
        out[index] = f32::from(byte & 15) * scale + least;
        out[index + 16] = f32::from(byte >> 4) * scale + least;
    }
}

/// The fifth bits of a block of 32, which are stored apart from the four lower ones.
fn fifth(block: &[u8], at: usize, index: usize) -> u8 {
    (block[at + index / 8] >> (index % 8) & 1) << 4
}

fn q5_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, byte) in block[6..22].iter().enumerate() {
        let low = byte & 15 | fifth(block, 2, index);
        let high = byte >> 4 | fifth(block, 2, index + 16);
        out[index] = (f32::from(low) - 16.0) * scale;
        out[index + 16] = (f32::from(high) - 16.0) * scale;
    }
}

fn q5_1(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for (index, byte) in block[8..24].iter().enumerate() {
        let low = byte & 15 | fifth(block, 4, index);
        let high = byte >> 4 | fifth(block, 4, index + 16);
        out[index] = f32::from(low) * scale + least;
        out[index + 16] = f32::from(high) * scale + least;
    }
}

fn q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (value, byte) in out.iter_mut().zip(&block[2..34]) {
        *value = f32::from(*byte as i8) * scale;
    }
}

fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (scale, least) = (half(block, 80), half(block, 82));
    for (part, values) in out.chunks_exact_mut(16).enumerate() {
        let (step, low) = (scale * f32::from(scales[part] & 15), f32::from(scales[part] >> 4));
        let from = part / 8 * 32 + part % 2 * 16;
        let shift = part % 8 / 2 * 2;
        for (value, byte) in values.iter_mut().zip(&quants[from..from + 16]) {
            *value = step * f32::from(byte >> shift & 3) - least * low;
        }
    }
}

fn q3_k(block: &[u8], out: &mut [f32]) {
    let (masks, quants, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let scale = half(block, 108);
    for (part, values) in out.chunks_exact_mut(16).enumerate() {
        let low = if part < 8 { packed[part] & 15 } else { packed[part - 8] >> 4 };
        let high = packed[8 + part % 4] >> (part / 4 * 2) & 3;
        let step = scale * (f32::from(low | high << 4) - 32.0);
        let (column, shift) = (part % 2 * 16, part % 8 / 2 * 2);
        let bit = 1u8 << (part / 2);
        for (index, value) in values.iter_mut().enumerate() {
            let quant = quants[part / 8 * 32 + column + index] >> shift & 3;
            let offset = if masks[column + index] & bit == 0 { 4.0 } else { 0.0 };
            *value = step * (f32::from(quant) - offset);
        }
    }
}

/// Six-bit scale and minimum of sub-block `index` of eight.
fn scale_and_least(packed: &[u8], index: usize) -> (f32, f32) {
    let (scale, least) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        (
            packed[index + 4] & 15 | packed[index - 4] >> 6 << 4,
            packed[index + 4] >> 4 | packed[index] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(least))
}

fn q4_k(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    for (part, values) in out.chunks_exact_mut(32).enumerate() {
        let (step, low) = scale_and_least(&block[4..16], part);
        let (step, low) = (scale * step, least * low);
        let quants = &block[16 + part / 2 * 32..][..32];
        let shift = part % 2 * 4;
        for (value, byte) in values.iter_mut().zip(quants) {
            *value = step * f32::from(byte >> shift & 15) - low;
        }
    }
}

fn q5_k(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    let high = &block[16..48];
    for (part, values) in out.chunks_exact_mut(32).enumerate() {
        let (step, low) = scale_and_least(&block[4..16], part);
        let (step, low) = (scale * step, least * low);
        let quants = &block[48 + part / 2 * 32..][..32];
        let shift = part % 2 * 4;
        for (index, value) in values.iter_mut().enumerate() {
            let quant = quants[index] >> shift & 15 | (high[index] >> part & 1) << 4;
            *value = step * f32::from(quant) - low;
        }
    }
}

fn q6_k(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 208);
    for (part, values) in out.chunks_exact_mut(32).enumerate() {
        let (half_block, quarter) = (part / 4, part % 4);
        let low = &block[half_block * 64 + quarter % 2 * 32..][..32];
        let high = &block[128 + half_block * 32..][..32];
        let steps = &block[192 + half_block * 8 + quarter * 2..][..2];
        let shift = quarter / 2 * 4;
        for (index, value) in values.iter_mut().enumerate() {
            let quant = low[index] >> shift & 15 | (high[index] >> (quarter * 2) & 3) << 4;
            let step = scale * f32::from(steps[index / 16] as i8);
            *value = step * (f32::from(quant) - 32.0);
        }
    }
}

fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let scale = half(block, 0);
    for (index, byte) in block[2..18].iter().enumerate() {
        out[index] = scale * LEVELS[usize::from(byte & 15)];
        out[index + 16] = scale * LEVELS[usize::from(byte >> 4)];
    }
}

fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (scale, high) = (half(block, 0), word(block, 2));
    for (part, values) in out.chunks_exact_mut(32).enumerate() {
        let low = block[4 + part / 2] >> (part % 2 * 4) & 15;
        let top = (high >> (2 * part) & 3) as u8;
        let step = scale * (f32::from(low | top << 4) - 32.0);
        for (index, byte) in block[8 + part * 16..][..16].iter().enumerate() {
            values[index] = step * LEVELS[usize::from(byte & 15)];
            values[index + 16] = step * LEVELS[usize::from(byte >> 4)];
        }
    }
}
