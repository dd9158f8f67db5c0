//! Random numbers that are the same for the same seed, on every machine.

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): small, and good enough
/// to draw times from.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and less than 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something happens that does so with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        // Nothing is drawn for what cannot happen: a model with one thing switched off draws the same numbers for the rest.
        probability > 0.0 && self.fraction() < probability
    }

    /// Normally distributed, with mean 0 and standard deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.fraction(), self.fraction());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// A factor whose logarithm is normally distributed with this standard deviation; its median is 1.
    pub fn factor(&mut self, sigma: f64) -> f64 {
        if sigma == 0.0 { 1.0 } else { (sigma * self.normal()).exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_for_the_same_seed() {
        let draw = |seed| (0..8).scan(Random::new(seed), |random, _| Some(random.fraction())).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // The first number of the reference implementation for the seed 0.
        assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let mut random = Random::new(1);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..100_000 {
            let number = random.normal();
            sum += number;
            squares += number * number;
        }
        assert!((sum / 1e5).abs() < 0.02, "{sum}");
        assert!((squares / 1e5 - 1.0).abs() < 0.02, "{squares}");
        let mut factors: Vec<f64> = (0..10_001).map(|_| random.factor(0.5)).collect();
        factors.sort_by(f64::total_cmp);
        assert!((factors[5000] - 1.0).abs() < 0.03, "{}", factors[5000]);
        // One standard deviation above the median.
        assert!((factors[8413] - 0.5f64.exp()).abs() < 0.06, "{}", factors[8413]);
        let hits = (0..10_000).filter(|_| random.happens(0.1)).count();
        assert!((900..1100).contains(&hits), "{hits}");
    }
}
