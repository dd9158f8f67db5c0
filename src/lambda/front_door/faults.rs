//! What goes wrong on purpose.

use std::str::FromStr;
use std::time::Duration;

/// One kind of fault, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The worker is killed in the middle of its work.
    Crash(f64),
    /// Refused with 429.
    Throttle(f64),
    /// Refused with 500.
    Error500(f64),
    /// Not even looked at: the connection is reset.
    Reset(f64),
    /// The work is done and the connection closed without an answer.
    Lost(f64),
    /// Characters of the answer are changed.
    CorruptReply(f64),
    /// The answer comes late.
    Delay(f64, Duration),
    /// So many workers take so many times as long.
    Slow(usize, f64),
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, amount) = text.split_once('=').ok_or("write WHAT=RATE, such as crash=0.1")?;
        let number = |text: &str| match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(format!("{text:?} is no rate")),
        };
        let pair = |form| {
            let (left, right) = amount.split_once('x').ok_or(format!("write {form}"))?;
            Ok::<_, String>((number(left)?, number(right)?))
        };
        Ok(match what {
            "crash" => Fault::Crash(number(amount)?),
            "throttle" => Fault::Throttle(number(amount)?),
            "error500" => Fault::Error500(number(amount)?),
            "reset" => Fault::Reset(number(amount)?),
            "lost" => Fault::Lost(number(amount)?),
            "corrupt-reply" => Fault::CorruptReply(number(amount)?),
            "delay" => {
                let (rate, seconds) = pair("delay=RATExSECONDS")?;
                let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
                Fault::Delay(rate, time)
            }
            "slow" => {
                let (count, factor) = pair("slow=NxFACTOR")?;
                Fault::Slow(count as usize, factor.max(1.0))
            }
            _ => return Err(format!("no fault is called {what:?}: there are {}", NAMES.join(", "))),
        })
    }
}

const NAMES: [&str; 8] = ["crash", "throttle", "error500", "reset", "lost", "corrupt-reply", "delay", "slow"];

/// What goes wrong with one invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Misfortune {
    /// Refused with 429.
    pub throttle: bool,
    /// Refused with 500.
    pub error500: bool,
    /// The connection is reset.
    pub reset: bool,
    /// The worker is killed after this time, or when it would answer if that is sooner.
    pub crash: Option<Duration>,
    /// No answer.
    pub lost: bool,
    /// The answer is changed, at a place that this number chooses.
    pub corrupt: Option<u64>,
    /// The answer comes so much later.
    pub delay: Duration,
}

impl Misfortune {
    /// The faults' names, for the log.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.throttle, "throttle"),
            (self.error500, "error500"),
            (self.reset, "reset"),
            (self.crash.is_some(), "crash"),
            (self.lost, "lost"),
            (self.corrupt.is_some(), "corrupt-reply"),
            (!self.delay.is_zero(), "delay"),
        ];
        all.into_iter().filter(|(happens, _)| *happens).map(|(_, name)| name).collect()
    }
}

/// Chooses the faults of each invocation; the same ones for the same seed and number.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    faults: Vec<Fault>,
}

impl Plan {
    /// A plan.
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        Self { seed, faults }
    }

    /// What goes wrong with the `number`-th invocation, counted from 0. One that is refused has no other misfortune.
    pub fn of(&self, number: u64) -> Misfortune {
        let mut chosen = Misfortune::default();
        for (index, fault) in self.faults.iter().enumerate() {
            let lot = mix(mix(self.seed ^ (index as u64) << 32) ^ number);
            let strikes = |rate: f64| {
                if rate >= 1.0 {
                    number < rate as u64
                } else {
                    (lot >> 11) as f64 / (1u64 << 53) as f64 <= rate && rate > 0.0
                }
            };
            match *fault {
                Fault::Crash(rate) if strikes(rate) => chosen.crash = Some(Duration::from_millis(mix(lot) % 200)),
                Fault::Throttle(rate) if strikes(rate) => chosen.throttle = true,
                Fault::Error500(rate) if strikes(rate) => chosen.error500 = true,
                Fault::Reset(rate) if strikes(rate) => chosen.reset = true,
                Fault::Lost(rate) if strikes(rate) => chosen.lost = true,
                Fault::CorruptReply(rate) if strikes(rate) => chosen.corrupt = Some(mix(lot)),
                Fault::Delay(rate, time) if strikes(rate) => chosen.delay = time,
                _ => {}
            }
        }
        match chosen {
            Misfortune { throttle: true, .. } => Misfortune { throttle: true, ..Misfortune::default() },
            Misfortune { error500: true, .. } => Misfortune { error500: true, ..Misfortune::default() },
            Misfortune { reset: true, .. } => Misfortune { reset: true, ..Misfortune::default() },
            chosen => chosen,
        }
    }

    /// How many times as long as it needs the worker of this number takes, the workers counted from 0 as they start.
    pub fn slowness(&self, worker: usize) -> f64 {
        let slow = |fault: &Fault| match *fault {
            Fault::Slow(count, factor) if worker < count => Some(factor),
            _ => None,
        };
        self.faults.iter().find_map(slow).unwrap_or(1.0)
    }
}

/// Mixes a number's bits well (SplitMix64, Steele, Lea and Flood 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Changes some letters or digits of an answer to others, so that it may well still be JSON.
pub fn corrupt(answer: &mut [u8], lot: u64) {
    if answer.is_empty() {
        return;
    }
    for turn in 0..8 {
        let start = (mix(lot ^ turn) % answer.len() as u64) as usize;
        let (before, from) = answer.split_at_mut(start);
        let next = from.iter_mut().chain(before).find(|byte| byte.is_ascii_alphanumeric());
        if let Some(byte) = next {
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(faults: &[&str]) -> Plan {
        Plan::new(7, faults.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn rates_hold_and_repeat() {
        let plan = plan(&["crash=0.1", "throttle=0.1", "lost=0.05", "corrupt-reply=2", "slow=1x20"]);
        let of = |what: fn(&Misfortune) -> bool| (0..10_000).filter(|&n| what(&plan.of(n))).count();
        assert!((900..1100).contains(&of(|m| m.throttle)));
        assert!((800..1000).contains(&of(|m| m.crash.is_some())));
        assert!((400..500).contains(&of(|m| m.lost)));
        assert!(of(|m| m.corrupt.is_some()) <= 2);
        assert_eq!(plan.of(17), plan.clone().of(17));
        assert_eq!((plan.slowness(0), plan.slowness(1)), (20.0, 1.0));
    }

    #[test]
    fn the_refused_are_only_refused() {
        let chosen = plan(&["crash=1", "throttle=1", "error500=1"]).of(0);
        assert_eq!(chosen, Misfortune { throttle: true, ..Misfortune::default() });
        let chosen = plan(&["crash=1", "lost=1", "reset=1"]).of(0);
        assert_eq!(chosen, Misfortune { reset: true, ..Misfortune::default() });
    }

    #[test]
    fn what_is_no_fault() {
        for text in ["crash", "crash=x", "crash=-1", "crash=NaN", "slow=1", "smoke=1", "delay=0.1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn corruption_changes_an_answer() {
        let mut answer = br#"{"inline":"abcdefgh"}"#.to_vec();
        corrupt(&mut answer, 5);
        assert_ne!(answer, br#"{"inline":"abcdefgh"}"#);
        corrupt(&mut [], 5);
        corrupt(&mut [0], 5);
    }
}
