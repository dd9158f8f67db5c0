//! What is told in help, in manual pages and, tested to be the same, in `docs/`.

/// The variables that gg reads.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("GG_DIR", "where the store is [$XDG_CACHE_HOME/gg or ~/.cache/gg]"),
    ("GG_JOBS", "how many steps run on this machine at once [number of processors]"),
    ("GG_LAZY", "0: each tool call waits for its result [1]"),
    ("GG_SANDBOX", "auto, namespace or plain: how steps are isolated [auto]"),
    ("GG_TOOLS", "a directory with descriptions of further tools [~/.config/gg/tools]"),
    ("GG_ENGINE", "where steps run: local, lambda, lambda:1000,local:2 [local]"),
    ("GG_FALLBACK", "0: a step that the engines cannot run fails, instead of running here [1]"),
    ("GG_STORE", "the remote store: s3://BUCKET/PREFIX?region=REGION, gs://, az://, redis://"),
    ("GG_REDUCTIONS", "results shared between machines: off, read, read-write [off]"),
    ("GG_FUNCTION", "the name of the function on Lambda"),
    ("GG_LARGER_FUNCTION", "the name of one with more memory, for steps that do not fit the first"),
    ("GG_REGION", "the region of the function [as AWS's own tools find it]"),
    ("GG_LAMBDA_ENDPOINT", "the address of the service, where it is not the region's own"),
    ("GG_REDIS_PASSWORD", "the password of a store on redis://"),
    ("GG_STATUS", "0: no progress on a terminal; plain, plain:SECONDS: by lines instead of a block [1]"),
    ("GG_OUTPUT", "quiet, normal or verbose: how much gg says of itself [normal]"),
    ("NO_COLOR", "gg's own words are not coloured"),
    ("CI", "set, and neither 0 nor false: progress by lines"),
];

/// What the exit statuses mean.
pub const EXIT_STATUSES: &[(&str, &str)] = &[
    ("0", "it went well"),
    (
        "1",
        "gg doctor: something keeps gg from working; gg deploy aws --status: nothing is there; gg simulate: steps died too often",
    ),
    ("2", "a step failed, and the build command did not notice; or gg itself cannot do what it is asked"),
    ("124", "gg run: the command took longer than its --timeout"),
    ("127", "the build command was not found"),
    (
        "128+N",
        "the build command was ended by signal N; gg that gets a signal itself dies of it, which shells show in the same way",
    ),
    ("other", "the build command's own"),
];

/// The words of this field, as gg uses them.
pub const WORDS: &[(&str, &str)] = &[
    ("step", "one call of a tool by a build: a compile, a link, an archive. What becomes of it is a thunk"),
    (
        "thunk",
        "a sealed description of one computation: the tool, its arguments and environment, the content of every file that it can \
         see, and which files it makes. Its name is a hash of all that: the same computation has the same name everywhere",
    ),
    (
        "value",
        "bytes that need no computation: a source, a compiler, a finished object file. Its name is a hash of them",
    ),
    ("object", "a value or a thunk: what the store keeps, by its name"),
    ("seal", "to make a thunk of a call: find out what it will read and write, and hash it"),
    ("infer", "to run a build command with stand-ins for its tools, so that its calls become thunks"),
    (
        "placeholder",
        "a small file that stands in the tree where an output will be. It names the thunk. Programs that open it get the real \
         file: the kernel holds them until it is there",
    ),
    ("force", "to compute what a thunk describes, and first what it needs"),
    (
        "reduction",
        "what came of a forced thunk: which output is which value, and what the tool printed. It is kept, so the thunk need not be forced again",
    ),
    ("stand-in", "the tiny program that runs in place of gcc, ld, ar, ... and hands the call to the session"),
    ("session", "the part of gg that answers stand-ins while a build command runs"),
    (
        "model",
        "the knowledge of one tool's command line: what it reads, what it writes. It never guesses: what it does not know runs here and now",
    ),
    (
        "here and now",
        "a call that did not become a thunk: the real tool ran, outside of any sandbox. gg report says why",
    ),
    ("engine", "where thunks are forced: local, which is this machine, or lambda, which is functions on AWS Lambda"),
    (
        "worker",
        "what forces one thunk at a time: a process here, an instance of a function there. It sees the inputs of the thunk and nothing else",
    ),
    (
        "coordinator",
        "the part of gg that picks the next thunk and its engine, tries again, and sends a second worker after a slow one",
    ),
    ("store", "where objects and reductions are kept: GG_DIR on this machine, a bucket for engines far away"),
    ("probe", "a step whose answer is the point, as configure scripts make them. It is forced at once, and remembered"),
    ("at once", "a step that its caller had to wait for, since somebody needs its result"),
    (
        "critical path",
        "the longest chain of steps each of which needs the one before it: no number of workers makes a build shorter",
    ),
];
