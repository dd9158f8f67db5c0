//! End-to-end tests: the built programs, real compilers, real namespaces. One file per behaviour.

mod project;
mod screen;

mod after_a_failure;
mod api;
mod breaches;
mod browser;
mod build_systems;
#[cfg(feature = "lambda")]
mod cloud;
mod command_lines;
mod commands;
mod compile_commands;
mod concurrent;
mod cross;
mod cut_short;
#[cfg(feature = "lambda")]
mod deploy;
mod described;
mod doctor;
mod documents;
#[cfg(feature = "lambda")]
mod emulator;
mod failures;
mod graph;
mod headers;
mod infer;
mod interrupted;
#[cfg(feature = "lambda")]
mod lambda;
mod laziness;
mod live;
mod log;
mod manners;
mod manual;
mod newcomer;
mod past_path;
mod printed;
mod probes;
mod real_project;
mod report;
mod report_page;
mod reproduce;
#[cfg(feature = "lambda")]
mod reproduce_far;
mod same_tree;
mod sandboxes;
mod sdk;
mod shared_libraries;
mod simulation;
mod slips;
mod stdin;
mod store;
mod toolchains;
mod unmodelled;
mod wanted;
mod why;
