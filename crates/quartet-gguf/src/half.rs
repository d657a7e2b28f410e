//! IEEE 754 half precision, the scale of quantised blocks.

/// The nearest half to `value`, ties to even; too large becomes infinity.
#[must_use]
pub fn f16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude >= 0x7f80_0000 {
        let payload = if magnitude > 0x7f80_0000 { 0x0200 } else { 0 };
        return sign | 0x7c00 | payload;
    }
    // 65520 is the first value that rounds to infinity.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: adding 0.5 lines the bits up and rounds to even in one step.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    let rounded = magnitude - 0x3800_0000 + 0x0fff + odd;
    sign | (rounded >> 13) as u16
}

/// The exact value of a half.
#[must_use]
pub fn f32_from_f16(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = (half >> 10) & 0x1f;
    let mantissa = f32::from(half & 0x03ff);
    match exponent {
        0 => sign * mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + mantissa) * 2f32.powi(i32::from(exponent) - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for half in 0..=u16::MAX {
            let value = f32_from_f16(half);
            if !value.is_nan() {
                assert_eq!(f16_from_f32(value), half, "{half:#06x} = {value}");
            }
        }
    }

    #[test]
    fn the_nearest_half_is_taken() {
        for (value, half) in
            [(1.0, 0x3c00), (65504.0, 0x7bff), (65519.0, 0x7bff), (65520.0, 0x7c00)]
        {
            assert_eq!(f16_from_f32(value), half, "{value}");
        }
        // Between 1 and the next half, 1 + 2^-10: the tie goes to the even one.
        assert_eq!(f16_from_f32(1.0 + 2f32.powi(-11)), 0x3c00);
        assert_eq!(f16_from_f32(1.0 + 3.0 * 2f32.powi(-11)), 0x3c02);
    }
}
