//! Graphs that are made up, in the shape of a build.

use serde::{Deserialize, Serialize};

use super::model::{ModelError, within};
use super::random::Random;
use super::recording::{RecordedStep, Recording};

/// What a made-up build looks like.
///
/// Sources are compiled, and objects of one directory go into an archive; programs link archives, and the last program links
/// them all. One of the first programs is a generator: some compiles wait for what it writes. Times and sizes of compiles
/// vary by a log-normal distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// How many sources are compiled.
    pub compiles: u32,
    /// How many archives there are.
    pub archives: u32,
    /// How many programs are linked.
    pub programs: u32,
    /// How many archives a program links, but for the last one.
    pub archives_linked: u32,
    /// The share of compiles that wait for the generator.
    pub generated: f64,
    /// How long the generator runs, seconds.
    pub generate_s: f64,
    /// The median time of a compile, seconds.
    pub compile_s: f64,
    /// How much the times of compiles differ: the standard deviation of their logarithm.
    pub compile_spread: f64,
    /// The longest that a compile takes, seconds.
    pub compile_most_s: f64,
    /// How long an archive or a link takes for each 100 MB that it reads, seconds.
    pub link_s_per_100_mb: f64,
    /// Bytes of an object, in the median.
    pub object_bytes: f64,
    /// Bytes of a program, for each byte that it is linked from.
    pub link_output: f64,
    /// Bytes of the sources and headers that a compile reads, in the median.
    pub source_bytes: f64,
    /// Bytes of them that no compile before it has read.
    pub new_bytes: u64,
}

impl Default for Shape {
    /// A build in C++ of 1,000 compiles.
    fn default() -> Self {
        Self {
            compiles: 1000,
            archives: 50,
            programs: 5,
            archives_linked: 40,
            generated: 0.1,
            generate_s: 1.0,
            compile_s: 2.0,
            compile_spread: 0.8,
            compile_most_s: 60.0,
            link_s_per_100_mb: 0.5,
            object_bytes: 100e3,
            link_output: 0.3,
            source_bytes: 2e6,
            new_bytes: 30_000,
        }
    }
}

/// The largest graph that is made up.
const MOST: f64 = 1e7;
/// The generator is linked from so many archives, the first ones.
const GENERATOR_ARCHIVES: usize = 2;
/// What starting any program takes, seconds.
const START_S: f64 = 0.02;

impl Shape {
    /// A build in C++ of about so many steps: 20 compiles for an archive, 40 archives for a program.
    pub fn of(steps: usize) -> Self {
        let steps = steps.min(MOST as usize) as u32;
        let archives = (steps / 21).max(1);
        let compiles = steps.saturating_sub(archives + archives / 40).max(1);
        Self { compiles, archives, programs: (archives / 40).max(1), ..Self::default() }
    }

    /// Reads a shape in TOML; what it does not name is as in [`Shape::default`].
    ///
    /// # Errors
    /// [`ModelError`], for a person.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let shape: Self = toml::from_str(text)?;
        let counts = [
            ("compiles", f64::from(shape.compiles)),
            ("archives", f64::from(shape.archives)),
            ("programs", f64::from(shape.programs)),
            ("archives_linked", f64::from(shape.archives_linked)),
        ];
        let amounts = [
            ("generate_s", shape.generate_s),
            ("compile_s", shape.compile_s),
            ("compile_most_s", shape.compile_most_s),
            ("link_s_per_100_mb", shape.link_s_per_100_mb),
        ];
        let bytes = [
            ("object_bytes", shape.object_bytes),
            ("source_bytes", shape.source_bytes),
            ("new_bytes", shape.new_bytes as f64),
        ];
        let shares = [("generated", shape.generated), ("link_output", shape.link_output)];
        within(&counts, "between 1 and 10,000,000", |figure| (1.0..=MOST).contains(&figure))?;
        within(&amounts, "between 0 and 10,000", |figure| (0.0..=1e4).contains(&figure))?;
        within(&bytes, "between 0 and 10^9", |figure| (0.0..=1e9).contains(&figure))?;
        within(&shares, "between 0 and 1", |figure| (0.0..=1.0).contains(&figure))?;
        within(&[("compile_spread", shape.compile_spread)], "between 0 and 2", |figure| (0.0..=2.0).contains(&figure))?;
        Ok(shape)
    }
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// A build of this shape. The same for the same seed.
pub fn synthetic(shape: &Shape, seed: u64) -> Recording {
    let mut random = Random::new(seed);
    let mut steps: Vec<RecordedStep> = Vec::new();
    let archives = shape.archives.min(shape.compiles).max(1) as usize;
    let mut libraries: Vec<u32> = Vec::with_capacity(archives);
    let mut generator = None;
    for archive in 0..archives {
        // Compiles are dealt out as evenly as can be.
        let place = |archive: usize| archive * shape.compiles as usize / archives;
        let objects = (place(archive)..place(archive + 1)).map(|object| {
            let time = (shape.compile_s * random.factor(shape.compile_spread)).min(shape.compile_most_s);
            let waits = generator.filter(|_| random.happens(shape.generated));
            let read = (shape.source_bytes * random.factor(0.5)) as u64;
            steps.push(RecordedStep {
                kind: "compile".into(),
                label: format!("lib{archive}/{object}.o"),
                wall_us: micros(time),
                cpu_us: micros(time),
                input_bytes: read.max(shape.new_bytes),
                new_bytes: shape.new_bytes,
                output_bytes: (shape.object_bytes * random.factor(0.8)) as u64,
                needs: waits.into_iter().collect(),
            });
            (steps.len() - 1) as u32
        });
        let objects: Vec<u32> = objects.collect();
        libraries.push(step(&mut steps, "archive", format!("lib{archive}.a"), objects, shape, 1.0));
        if archive + 1 == GENERATOR_ARCHIVES.min(archives) {
            let link = step(&mut steps, "link", "generator".into(), libraries.clone(), shape, shape.link_output);
            let made = step(&mut steps, "generate", "generated".into(), vec![link], shape, 0.0);
            (steps[made as usize].wall_us, steps[made as usize].cpu_us) =
                (micros(shape.generate_s), micros(shape.generate_s));
            generator = Some(made);
        }
    }
    let programs = shape.programs.max(1) as usize;
    for program in 0..programs {
        // The last one is the product: it links them all.
        let linked =
            if program + 1 == programs { archives } else { (shape.archives_linked as usize).clamp(1, archives) };
        let first = program * archives / programs;
        let needs = (0..linked).map(|at| libraries[(first + at) % archives]).collect();
        step(&mut steps, "link", format!("program{program}"), needs, shape, shape.link_output);
    }
    // Each step was made after those that it needs.
    Recording::new(steps).unwrap_or_default()
}

/// A step that reads what those that it needs have written, and writes a share of that.
fn step(
    steps: &mut Vec<RecordedStep>,
    kind: &str,
    label: String,
    mut needs: Vec<u32>,
    shape: &Shape,
    output: f64,
) -> u32 {
    needs.sort_unstable();
    let bytes: u64 = needs.iter().map(|&need| steps[need as usize].output_bytes).sum();
    let time = micros(START_S + bytes as f64 / 1e8 * shape.link_s_per_100_mb);
    steps.push(RecordedStep {
        kind: kind.to_owned(),
        label,
        wall_us: time,
        cpu_us: time,
        input_bytes: 0,
        new_bytes: 0,
        output_bytes: (bytes as f64 * output) as u64,
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
            assert!(count.abs_diff(steps) <= 5, "{count} for {steps}");
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
        let compiles = steps.iter().filter(|step| step.kind == "compile");
        let late = compiles.clone().filter(|step| !step.needs.is_empty()).count();
        assert!((100..300).contains(&late), "{late}");
        // A log-normal distribution's mean over its median.
        let mean = compiles.clone().map(|step| step.work().as_secs_f64()).sum::<f64>() / compiles.count() as f64;
        assert!((mean / (2.0 * (0.8f64 * 0.8 / 2.0).exp()) - 1.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn a_file_names_what_differs_and_what_is_wrong() {
        let shape = Shape::parse("compiles = 7\narchives = 3\nprograms = 2\n").unwrap();
        assert_eq!((shape.compiles, shape.object_bytes), (7, Shape::default().object_bytes));
        let made = synthetic(&shape, 1);
        let count = |kind: &str| made.steps().iter().filter(|step| step.kind == kind).count();
        assert_eq!(["compile", "archive", "link", "generate"].map(count), [7, 3, 3, 1]);
        let problem = |text: &str| Shape::parse(text).unwrap_err().to_string();
        assert!(problem("compiles = 0\n").contains("`compiles` is 0"));
        assert!(problem("generated = 1.5\n").contains("between 0 and 1"));
        assert!(problem("link_outputs = 1\n").contains("link_outputs"));
    }
}
