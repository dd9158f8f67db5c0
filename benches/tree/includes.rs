//! Which file includes which headers.
//!
//! A header includes only headers with smaller numbers, so there are no circles. Its directory has a few others that it
//! uses, popular ones more often. The first headers of all are what nearly everything uses. A source includes some 17 headers, chosen
//! so that with what these include in turn it reaches the number of headers that was asked for.

use crate::random::Random;
use crate::shape::{HEADERS, SOURCES, Shape};

/// Headers that most others use in the end.
const COMMON: usize = 40;
/// Directories that a directory uses.
const USED: usize = 16;
/// Among so many is chosen the header that brings the number wanted most nearly.
const CANDIDATES: usize = 8;

/// Who includes whom.
#[derive(Debug)]
pub struct Includes {
    /// The headers that a header includes by itself.
    pub of_headers: Vec<Vec<u32>>,
    /// The headers that a source includes by itself.
    pub of_sources: Vec<Vec<u32>>,
    /// How many headers a source reaches.
    pub reach: Vec<usize>,
    users: Vec<u32>,
}

/// A set of headers that is emptied at once.
struct Set {
    marks: Vec<u32>,
    now: u32,
    members: Vec<u32>,
}

impl Set {
    fn new(size: usize) -> Self {
        Self { marks: vec![0; size], now: 0, members: Vec::new() }
    }

    fn clear(&mut self) {
        self.now += 1;
        self.members.clear();
    }

    fn add(&mut self, all: &[u32]) {
        for &one in all {
            if self.marks[one as usize] != self.now {
                self.marks[one as usize] = self.now;
                self.members.push(one);
            }
        }
    }

    fn holds(&self, one: u32) -> bool {
        self.marks[one as usize] == self.now
    }

    /// How many of these are not in it.
    fn missing(&self, all: &[u32]) -> usize {
        all.iter().filter(|one| !self.holds(**one)).count()
    }
}

/// What is drawn with.
struct Draw<'a> {
    random: Random,
    /// What each header reaches, itself included.
    closures: Vec<Vec<u32>>,
    /// The directories that each directory uses.
    used: Vec<Vec<usize>>,
    set: Set,
    shape: &'a Shape,
}

impl Draw<'_> {
    /// Headers to include, in number about `count`, that reach about `reach` with what they include, and are smaller than
    /// `below`. The set holds what is reached already, and then all.
    fn choose(&mut self, directory: usize, below: usize, count: usize, reach: usize) -> Vec<u32> {
        let mut chosen = Vec::new();
        for left in (1..=count).rev() {
            let wanted = reach.saturating_sub(self.set.members.len()) / left;
            let mut best: Option<(usize, u32)> = None;
            for _ in 0..CANDIDATES {
                let candidate = self.candidate(directory);
                if candidate >= below || self.set.holds(candidate as u32) {
                    continue;
                }
                let gain = self.set.missing(&self.closures[candidate]);
                let off = gain.abs_diff(wanted.max(1));
                if best.is_none_or(|(least, _)| off < least) {
                    best = Some((off, candidate as u32));
                }
            }
            let Some((_, header)) = best else { continue };
            self.set.add(&self.closures[header as usize]);
            chosen.push(header);
        }
        chosen
    }

    fn candidate(&mut self, directory: usize) -> usize {
        let used = &self.used[directory];
        let place = self.random.between(0, used.len() + 2);
        // Its own directory three times as often as another.
        let from = used.get(place).copied().unwrap_or(directory);
        from * HEADERS + self.random.between(0, HEADERS)
    }

    fn header(&mut self, header: usize) -> Vec<u32> {
        let directory = header / HEADERS;
        self.set.clear();
        // Most headers bring little with them, some much.
        let reach = match self.random.between(0, 10) {
            0..5 => self.random.between(0, 10),
            5..8 => self.random.between(10, 40),
            _ => self.random.between(40, 90),
        };
        let mut chosen = Vec::new();
        if header >= COMMON {
            let common = self.random.between(0, COMMON.min(self.shape.headers)) as u32;
            self.set.add(&self.closures[common as usize]);
            chosen.push(common);
        }
        let count = self.random.between(1, 7);
        chosen.extend(self.choose(directory, header, count, reach));
        self.set.add(&[header as u32]);
        chosen
    }

    fn source(&mut self, source: usize, reach: usize) -> Vec<u32> {
        let directory = self.shape.directory_of(source);
        self.set.clear();
        // Its own header, as every source has one.
        let own = (directory * HEADERS + source % SOURCES) as u32;
        self.set.add(&self.closures[own as usize]);
        let count = self.random.between(14, 20);
        let spread = reach / 3;
        // In the first directories there are not so many to be had: the others make up for it.
        let reach = self.random.between(reach - spread, reach + spread + 1) * 6 / 5;
        let mut chosen = vec![own];
        chosen.extend(self.choose(directory, self.shape.headers, count, reach));
        chosen
    }
}

impl Includes {
    /// Draws who includes whom, so that a source reaches about `reach` headers.
    pub fn draw(shape: &Shape, reach: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let used = (0..shape.directories)
            .map(|directory| (0..USED).map(|_| random.skewed(directory)).filter(|other| *other != directory).collect());
        let used = used.collect();
        let set = Set::new(shape.headers);
        let mut draw = Draw { random, closures: Vec::new(), used, set, shape };
        let mut of_headers = Vec::with_capacity(shape.headers);
        for header in 0..shape.headers {
            of_headers.push(draw.header(header));
            draw.closures.push(draw.set.members.clone());
        }
        let (mut of_sources, mut reached, mut users) = (Vec::new(), Vec::new(), vec![0; shape.headers]);
        for source in 0..shape.sources() {
            of_sources.push(draw.source(source, reach));
            reached.push(draw.set.members.len());
            draw.set.members.iter().for_each(|header| users[*header as usize] += 1);
        }
        Self { of_headers, of_sources, reach: reached, users }
    }

    /// How many sources reach each header.
    pub fn users(&self) -> &[u32] {
        &self.users
    }
}
