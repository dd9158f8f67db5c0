//! Graphs that are made up, in the shape of a build.

use super::random::Random;
use super::recording::{RecordedStep, Recording};

/// What a made-up build looks like.
///
/// Sources are compiled, and objects of one directory go into an archive or a shared library; programs link archives, and a
/// few programs are run to make further sources, as generators are. Times vary by a log-normal distribution, as those of
/// compiles do.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// How many steps, about.
    pub steps: usize,
    /// How many compiles there are for each archive.
    pub compiles_per_archive: usize,
    /// How many archives there are for each program.
    pub archives_per_program: usize,
    /// How many archives a program links, the one that links most excepted.
    pub archives_linked: usize,
    /// The median time of a compile, seconds.
    pub compile_s: f64,
    /// How much the times of compiles differ: the standard deviation of their logarithm.
    pub compile_spread: f64,
    /// The longest that a compile takes, seconds.
    pub compile_most_s: f64,
    /// How long a link takes for each 100 MB that it reads, seconds.
    pub link_s_per_100_mb: f64,
    /// The share of compiles that wait for a generator, which one of the first programs is.
    pub generated: f64,
    /// Bytes of an object, in the median.
    pub object_bytes: f64,
    /// Bytes of the sources and headers that a compile reads, in the median; mostly headers, which others read as well.
    pub source_bytes: f64,
}

impl Shape {
    /// A build in C++ of so many steps: 20 compiles for an archive, 40 archives for a program, compiles of 2 s in the median.
    pub fn of(steps: usize) -> Self {
        Self {
            steps,
            compiles_per_archive: 20,
            archives_per_program: 40,
            archives_linked: 40,
            compile_s: 2.0,
            compile_spread: 0.8,
            compile_most_s: 60.0,
            link_s_per_100_mb: 1.0,
            generated: 0.1,
            object_bytes: 150e3,
            source_bytes: 2e6,
        }
    }
}

/// How many new bytes a compile brings beside the headers that others have brought.
const OWN_SOURCE: u64 = 20_000;
/// How many headers' bytes there are in all, for each step.
const NEW_HEADERS: u64 = 10_000;
/// The programs that make sources are linked from the first archives.
const GENERATOR_ARCHIVES: usize = 2;

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// A build of this shape. The same for the same seed.
pub fn synthetic(shape: &Shape, seed: u64) -> Recording {
    let mut random = Random::new(seed);
    let mut steps: Vec<RecordedStep> = Vec::with_capacity(shape.steps);
    let per_archive = shape.compiles_per_archive.max(1);
    // Steps per program: its archives, their compiles, and its own link.
    let per_program = shape.archives_per_program.max(1) * (per_archive + 1) + 1;
    let programs = (shape.steps / per_program).max(1);
    let archives = (shape.steps.saturating_sub(programs) / (per_archive + 1)).max(1);
    let mut libraries: Vec<u32> = Vec::with_capacity(archives);
    let mut generator = None;
    for archive in 0..archives {
        let objects = (0..per_archive).map(|object| {
            let time = (shape.compile_s * random.factor(shape.compile_spread)).min(shape.compile_most_s);
            let waits = generator.filter(|_| random.happens(shape.generated));
            steps.push(RecordedStep {
                kind: "compile".into(),
                label: format!("lib{archive}/{object}.o"),
                wall_us: micros(time),
                cpu_us: micros(time),
                input_bytes: (shape.source_bytes * random.factor(0.5)) as u64 + OWN_SOURCE,
                new_bytes: OWN_SOURCE + NEW_HEADERS,
                output_bytes: (shape.object_bytes * random.factor(0.8)) as u64,
                needs: waits.into_iter().collect(),
            });
            (steps.len() - 1) as u32
        });
        let objects: Vec<u32> = objects.collect();
        libraries.push(step(&mut steps, "archive", format!("lib{archive}.a"), objects, 0.5));
        if archive + 1 == GENERATOR_ARCHIVES {
            let needs = libraries.clone();
            let link = step(&mut steps, "link", "generator".into(), needs, shape.link_s_per_100_mb);
            generator = Some(step(&mut steps, "generate", "generated".into(), vec![link], 1.0));
        }
    }
    for program in 0..programs {
        // The last one is the product: it links them all.
        let linked = if program + 1 == programs { archives } else { shape.archives_linked.clamp(1, archives) };
        let first = program * shape.archives_per_program % archives;
        let mut needs: Vec<u32> = (0..linked).map(|at| libraries[(first + at) % archives]).collect();
        needs.sort_unstable();
        step(&mut steps, "link", format!("program{program}"), needs, shape.link_s_per_100_mb);
    }
    // Each step was made after those that it needs.
    Recording::new(steps).unwrap_or_default()
}

/// A step that reads and writes what those that it needs have written, in so many seconds for each 100 MB.
fn step(steps: &mut Vec<RecordedStep>, kind: &str, label: String, needs: Vec<u32>, s_per_100_mb: f64) -> u32 {
    let bytes: u64 = needs.iter().map(|&need| steps[need as usize].output_bytes).sum();
    let time = 0.05 + bytes as f64 / 1e8 * s_per_100_mb;
    steps.push(RecordedStep {
        kind: kind.to_owned(),
        label,
        wall_us: micros(time),
        cpu_us: micros(time),
        input_bytes: 0,
        new_bytes: 0,
        output_bytes: bytes,
        needs,
    });
    (steps.len() - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_as_were_asked_for_and_the_same_each_time() {
        for steps in [50, 1000, 40_000] {
            let made = synthetic(&Shape::of(steps), 1);
            let count = made.steps().len();
            assert!(count.abs_diff(steps) * 10 < steps * 2, "{count} for {steps}");
            assert_eq!(made, synthetic(&Shape::of(steps), 1));
            assert_ne!(made, synthetic(&Shape::of(steps), 2));
        }
        assert!(!synthetic(&Shape::of(0), 1).steps().is_empty());
    }

    #[test]
    fn the_product_needs_everything_and_some_compiles_a_generator() {
        let made = synthetic(&Shape::of(2000), 1);
        let steps = made.steps();
        let archives = steps.iter().filter(|step| step.kind == "archive").count();
        assert_eq!(steps.last().map(|step| step.needs.len()), Some(archives));
        let late = steps.iter().filter(|step| step.kind == "compile" && !step.needs.is_empty()).count();
        assert!((100..300).contains(&late), "{late}");
    }
}
