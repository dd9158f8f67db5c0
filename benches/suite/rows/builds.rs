//! Whole builds of real projects: cold, again from the reduction cache after the tree was deleted, and with nothing to do; beside plain
//! make, ccache and sccache in the same run.
//!
//! All sides build at the same path, in turns. Peers stand before compilers as their manuals say: links of the compilers' names
//! that lead PATH, and in CMake, which calls compilers by path, the launcher variable.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::Any;
use crate::bench::{Bench, empty};
use crate::line::{Line, Unit, taken};
use crate::peers::Peer;
use crate::project::Project;

/// Cold: of plain make's CPU and wall time.
const COLD: f64 = 1.05;
/// All in the reduction cache: of ccache's CPU time.
const WARM: f64 = 0.5;
/// Nothing to do: milliseconds of wall time more than plain make.
const IDLE: f64 = 50.0;
/// How often a build with nothing to do is run in each round.
const IDLE_RUNS: u32 = 5;

/// What is special about a project.
struct Plan {
    row: &'static str,
    name: &'static str,
    /// Whether CMake has configured it: then compilers are called by path.
    cmake: bool,
    /// Whether cold builds are held against the target; else they stand there for comparison.
    cold: bool,
}

pub fn lua(bench: &mut Bench) -> Any<Vec<Line>> {
    builds(bench, &Plan { row: "build-lua", name: "lua", cmake: false, cold: true })
}

pub fn redis(bench: &mut Bench) -> Any<Vec<Line>> {
    builds(bench, &Plan { row: "build-redis", name: "redis", cmake: false, cold: true })
}

pub fn ninja(bench: &mut Bench) -> Any<Vec<Line>> {
    builds(bench, &Plan { row: "build-ninja", name: "ninja-cmake", cmake: true, cold: true })
}

pub fn ninja_lto(bench: &mut Bench) -> Any<Vec<Line>> {
    builds(bench, &Plan { row: "build-ninja-lto", name: "ninja-lto", cmake: true, cold: false })
}

fn builds(bench: &mut Bench, plan: &Plan) -> Any<Vec<Line>> {
    let project = Project::ready(bench, plan.name, None)?;
    let mut peers = [Peer::Ccache, Peer::Sccache].map(|peer| (peer, Led::ready(bench, plan, peer)));
    for _ in 0..bench.rounds {
        project.fresh_tree(bench)?;
        bench.measure(plan.row, "make", &project.plain(bench))?;

        bench.empty_store()?;
        project.fresh_tree(bench)?;
        bench.measure(plan.row, "gg-make, empty store", &project.gg_make(bench))?;
        bench.settle();
        for _ in 0..IDLE_RUNS {
            bench.measure(plan.row, "make, nothing to do", &project.plain(bench))?;
            bench.measure(plan.row, "gg-make, nothing to do", &project.gg_make(bench))?;
        }
        project.fresh_tree(bench)?;
        bench.measure(plan.row, "gg-make, full store", &project.gg_make(bench))?;

        for (peer, led) in &mut peers {
            // A peer that fails leaves gg's own figures as they are.
            let round = led.as_ref().ok().map(|led| led.round(bench, plan.row, *peer));
            if let Some(Err(error)) = round {
                *led = Err(error);
            }
        }
    }
    let missing = |peer: Peer| peers.iter().find(|(other, _)| *other == peer).and_then(|(_, led)| led.as_ref().err());
    lines(bench, plan, missing)
}

/// A project that is built with a compiler cache.
struct Led {
    project: Project,
    directory: Option<std::path::PathBuf>,
}

impl Led {
    fn ready(bench: &Bench, plan: &Plan, peer: Peer) -> Any<Self> {
        peer.program(bench)?;
        if plan.cmake {
            return Ok(Self { project: Project::ready(bench, plan.name, Some(peer.name()))?, directory: None });
        }
        Ok(Self { project: Project::ready(bench, plan.name, None)?, directory: Some(peer.directory(bench)?) })
    }

    /// Builds with an empty cache, and with what that leaves in it.
    fn round(&self, bench: &mut Bench, row: &str, peer: Peer) -> Any {
        empty(&peer.cache(bench))?;
        for state in ["empty", "full"] {
            self.project.fresh_tree(bench)?;
            let build = self.command(bench, peer)?;
            bench.measure(row, &format!("{}, {state} cache", peer.name()), &build)?;
        }
        Ok(())
    }

    fn command(&self, bench: &Bench, peer: Peer) -> Any<Command> {
        peer.lead(bench, &self.project.plain(bench), self.directory.as_deref().map(Path::new))
    }
}

fn lines<'a>(bench: &Bench, plan: &Plan, missing: impl Fn(Peer) -> Option<&'a anyhow::Error>) -> Any<Vec<Line>> {
    let name = plan.name;
    let side = |side: &str| bench.runs.side(plan.row, side).with_context(|| format!("{side} was never run"));
    let (make, cold, warm) = (side("make")?, side("gg-make, empty store")?, side("gg-make, full store")?);
    let (idle_make, idle) = (side("make, nothing to do")?, side("gg-make, nothing to do")?);
    let mut lines = Vec::new();
    let kinds = [("CPU", cold.median.cpu / make.median.cpu), ("wall", cold.median.wall / make.median.wall)];
    for (kind, ratio) in kinds {
        let what = format!("gg-make of {name}, cold, local: {kind} over plain make");
        let line =
            if plan.cold { Line::new(what, Unit::Times, COLD, ratio) } else { Line::plain(what, Unit::Times, ratio) };
        lines.push(line.of(taken("gg-make", &cold), taken("make", &make)));
    }
    let what = format!("rebuild of {name}'s deleted tree from the reduction cache: CPU over ccache's");
    let line = Line::new(what, Unit::Times, WARM, 0.0);
    lines.push(match (missing(Peer::Ccache), side("ccache, full cache")) {
        (None, Ok(ccache)) => Line { measured: Some(warm.median.cpu / ccache.median.cpu), ..line }
            .of(taken("gg-make", &warm), taken("ccache", &ccache)),
        (why, _) => line.missing(why.unwrap_or(&anyhow::anyhow!("it was not run"))),
    });
    let more = (idle.median.wall - idle_make.median.wall) * 1e3;
    let line = Line::new(format!("{name} with nothing to do: wall beyond plain make"), Unit::Ms, IDLE, more);
    lines.push(line.of(taken("gg-make", &idle), taken("make", &idle_make)));
    for peer in [Peer::Ccache, Peer::Sccache] {
        for state in ["empty", "full"] {
            let what = format!("{}, {state} cache, {name}: CPU over plain make", peer.name());
            let line = Line::plain(what, Unit::Times, 0.0);
            lines.push(match (missing(peer), side(&format!("{}, {state} cache", peer.name()))) {
                (None, Ok(taking)) => Line { measured: Some(taking.median.cpu / make.median.cpu), ..line }
                    .of(String::new(), taken(peer.name(), &taking)),
                (why, _) => line.missing(why.unwrap_or(&anyhow::anyhow!("it was not run"))),
            });
        }
    }
    Ok(lines)
}
