//! Logarithm and exponential for many values at once.
//!
//! They have no branch and use only operations that IEEE 754 rounds exactly, so the compiler may use as wide registers as it
//! likes, and the bits are the same on every machine. Their error is below two units in the last place.

/// `ln(1 + x)` for x from 0 on.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    // The mantissa of the root of one half: mantissas are taken from there to that of the root of two.
    const ROOT_OF_HALF: u32 = 0x3f35_04f3;
    let sum = 1.0 + x;
    let shifted = sum.to_bits().wrapping_add(1.0_f32.to_bits() - ROOT_OF_HALF);
    let exponent = (shifted >> 23) as i32 - 127;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + ROOT_OF_HALF);
    // What the sum has lost of x; it counts while the sum is near 1, where `sum - 1` is exact.
    let lost = if exponent == 0 { x - (sum - 1.0) } else { 0.0 };
    // ln(m) = 2 artanh(s), with |s| below 0.172.
    let excess = mantissa - 1.0;
    let s = excess / (2.0 + excess);
    let square = s * s;
    let series = square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0))));
    // 2 s = m - 1 - s (m - 1), of which the first part is exact.
    exponent as f32 * std::f32::consts::LN_2 + (excess - (s * (excess - 2.0 * series) - lost))
}

/// `exp(x) - 1` for x from 0 on; beyond 88, where the largest numbers end, that of 88.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    // So large that a sum with it has no digits behind the point.
    const WHOLE: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has few digits.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.min(88.0);
    let shifted = x * std::f32::consts::LOG2_E + WHOLE;
    let twos = shifted - WHOLE;
    let rest = (x - twos * LN_2[0]) - twos * LN_2[1];
    let series = 1.0 / 24.0 + rest * (1.0 / 120.0 + rest * (1.0 / 720.0 + rest * (1.0 / 5040.0)));
    let power = rest + rest * rest * (0.5 + rest * (1.0 / 6.0 + rest * series));
    let factor = f32::from_bits(shifted.to_bits().wrapping_sub(WHOLE.to_bits()).wrapping_add(127) << 23);
    factor * power + (factor - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_as_exact_as_their_numbers() {
        for step in 0..400_000 {
            // From 1e-20 to 1e20.
            let x = 10.0_f64.powf(f64::from(step) / 10_000.0 - 20.0) as f32;
            let exact = f64::from(x).ln_1p();
            assert!((f64::from(ln_1p(x)) - exact).abs() <= 2.5e-7 * exact, "ln_1p({x}) is {}", ln_1p(x));
            let x = x.min(80.0);
            let exact = f64::from(x).exp_m1();
            assert!((f64::from(exp_m1(x)) - exact).abs() <= 4e-7 * exact, "exp_m1({x}) is {}", exp_m1(x));
        }
        assert_eq!([ln_1p(0.0), exp_m1(0.0)], [0.0; 2]);
        assert!(ln_1p(f32::MAX) > 88.7 && exp_m1(f32::MAX) > 1e38 && exp_m1(f32::MAX).is_finite());
    }
}
