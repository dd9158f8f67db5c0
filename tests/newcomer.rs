//! A newcomer's first minutes, in a root with the programs of Debian's minimal image and of the packages gcc and make: an empty home, no
//! caches, no configuration, an ordinary user. (Libraries and headers are the machine's own, so there may be more of them.) gg is there as `cargo install` leaves it, two files on PATH; they are the ones that the tests were
//! built with, since compiling Rust once more in there would take minutes and tell nothing of gg.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::project::{Ran, run};

/// Copies programs to `$1`: those of required packages, of gcc and make with what these depend on, and their other names.
const PROGRAMS: &str = r#"
{
    dpkg-query -W -f '${Package} ${Priority}\n' | sed -n 's/ required$//p'
    apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances gcc make | grep '^[a-z]'
} | sort -u | xargs dpkg -L 2>/dev/null | sed -n 's#^\(/usr\)\{0,1\}/bin/##p' | sort -u | while read -r name; do
    [ ! -e "/usr/bin/$name" ] || cp -P "/usr/bin/$name" "$1/"
done
for link in /usr/bin/*; do
    case $(readlink "$link") in
    /etc/alternatives/*) [ ! -e "$1/$(basename "$(readlink -f "$link")")" ] || cp -P "$link" "$1/" ;;
    esac
done
"#;

/// Makes the root and goes there. `$1`: where; `$2`: the newcomer's home; `$3`: programs; the rest: what to run.
const ENTER: &str = r#"
root=$1 home=$2 programs=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root/usr" "$root/etc/alternatives" "$root/dev" "$root/proc" "$root/home/newcomer" "$root/old"
mkdir -m 1777 "$root/tmp"
show() { mount --rbind "$1" "$root$1" && mount -o remount,bind,ro "$root$1"; }
show /usr
show /etc/alternatives
mount -t tmpfs tmpfs "$root/usr/local"
mount --bind "$programs" "$root/usr/bin"
for place in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$place" ]; then cp -P "/$place" "$root/"
    elif [ -d "/$place" ]; then mkdir "$root/$place" && show "/$place"
    fi
done
cp /etc/ld.so.cache "$root/etc/"
echo 'newcomer:x:1000:1000::/home/newcomer:/bin/sh' >"$root/etc/passwd"
echo 'newcomer:x:1000:' >"$root/etc/group"
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
mount --bind "$home" "$root/home/newcomer"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
cd /home/newcomer/greet
exec unshare --map-user=1000 --map-group=1000 env -i HOME=/home/newcomer USER=newcomer LANG=C.UTF-8 \
    PATH=/home/newcomer/.cargo/bin:/usr/bin:/bin "$@"
"#;

/// Somebody who has just installed gg.
struct Newcomer {
    folder: tempfile::TempDir,
    home: PathBuf,
}

/// An ordinary user for those who run tests as root: Debian's `nobody`.
const NOBODY: &str = "65534";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Newcomer {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gg-test-").tempdir().unwrap();
        let home = folder.path().join("home");
        let bin = home.join(".cargo/bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, program) in [("gg", env!("CARGO_BIN_EXE_gg")), ("gg-make", env!("CARGO_BIN_EXE_gg-make"))] {
            fs::copy(program, bin.join(name)).unwrap();
        }
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/documents");
        assert!(Command::new("cp").arg("-r").arg(fixture).arg(home.join("greet")).status().unwrap().success());
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        assert!(Command::new("sh").args(["-c", PROGRAMS, "sh"]).arg(&programs).status().unwrap().success());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            let chown = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder.path()).status();
            assert!(chown.unwrap().success());
        }
        Self { folder, home }
    }

    /// Types a command in the project's directory.
    fn types(&self, line: &str) -> Ran {
        let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
        if is_root() {
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        }
        command.args(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-eu", "-c", ENTER, "sh"]).arg(self.folder.path().join("root")).arg(&self.home);
        command.arg(self.folder.path().join("programs"));
        command.args(["sh", "-eu", "-c", line]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").stdin(Stdio::null());
        run(&mut command)
    }

    fn writes(&self, file: &str, content: &str) {
        fs::write(self.home.join("greet").join(file), content).unwrap();
    }
}

/// What README tells a newcomer to type first.
fn first_command() -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let (_, rest) = readme.split_once("```sh\n").expect("README has a block of commands");
    rest.split_once("```").unwrap().0.trim().to_owned()
}

const BROKEN: &str = "#include \"greet.h\"\nint main(void) { greet(world); return 0; }\n";

#[test]
fn the_first_minutes() {
    let newcomer = Newcomer::new();
    let place = newcomer.types("id -u; ls /home /usr/local; ls -A /tmp; test ! -e /var && test ! -e /root").ok();
    assert_eq!(place.stdout, "1000\n/home:\nnewcomer\n\n/usr/local:\n");
    newcomer.types("! command -v cmake && ! command -v clang && ! command -v git").ok();

    let first = first_command();
    assert!(first.starts_with("gg-make"), "{first}");
    let built = newcomer.types(&first).ok();
    assert!(built.stdout.contains("main.c"), "{built:?}");
    assert_eq!(newcomer.types("./app").ok().stdout, "hello, world\n");
    let report = newcomer.types("gg report").ok();
    assert!(report.stdout.contains("exit status 0"), "{report:?}");
    // It was no plain make: steps ran in sandboxes of their own.
    let json: serde_json::Value = serde_json::from_str(&newcomer.types("gg report --json").ok().stdout).unwrap();
    assert_eq!((json["sandbox"].clone(), json["lazy"].clone()), ("namespaces".into(), true.into()), "{json}");
    assert_eq!(json["steps"].as_array().unwrap().len(), 4, "{json}");

    newcomer.writes("main.c", BROKEN);
    let failed = newcomer.types(&first);
    assert_eq!(failed.status, 2, "{failed:?}");
    assert!(failed.stderr.contains("failed: main.o (from main.c): exit status 1"), "{failed:?}");
    assert!(failed.stderr.contains("main.c:2:") && failed.stderr.contains("error:"), "{failed:?}");

    newcomer.writes("main.c", &BROKEN.replace("world", "\"moon\""));
    newcomer.types(&first).ok();
    assert_eq!(newcomer.types("./app").ok().stdout, "hello, moon\n");
    let report = newcomer.types("gg report").ok();
    assert!(report.stdout.contains("exit status 0"), "{report:?}");
    // The way back is one that gg has been.
    newcomer.writes("main.c", &BROKEN.replace("world", "\"world\""));
    newcomer.types(&first).ok();
    let json: serde_json::Value = serde_json::from_str(&newcomer.types("gg report --json").ok().stdout).unwrap();
    assert!(json["steps"].as_array().unwrap().iter().all(|step| step["served"] == "cached"), "{json}");
    // The machine's own check says the same.
    let doctor = newcomer.types("gg doctor").ok();
    assert!(doctor.stdout.contains("the same bytes as without gg"), "{doctor:?}");
}

#[test]
fn what_a_step_said_and_why_it_was_run() {
    let newcomer = Newcomer::new();
    newcomer.types(&first_command()).ok();
    newcomer.writes("main.c", BROKEN);
    assert_eq!(newcomer.types(&first_command()).status, 2);
    let log = newcomer.types("gg log main.o");
    assert!(log.stdout.contains("error:") || log.stderr.contains("error:"), "{log:?}");
    newcomer.writes("main.c", &BROKEN.replace("world", "\"moon\""));
    newcomer.types(&first_command()).ok();
    let why = newcomer.types("gg why main.o").ok();
    assert!(why.stdout.contains("main.c"), "{why:?}");
}
