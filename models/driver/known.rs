//! The switches of the families `-f` and `-m` that compilers list themselves.
//!
//! A switch without `=` cannot name a file, so any such switch passes. With `=` it must be one that the compiler lists
//! in its own help; the lists beside this file were taken from `gcc --help=common,target,optimizers,c,c++` of GCC 12 and
//! `clang --help-hidden` of Clang 14. Those that do name files have rows of their own, which are found first.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::name::Family;

fn list(text: &'static str) -> HashSet<&'static [u8]> {
    text.lines().filter(|line| !line.starts_with('#')).map(str::as_bytes).collect()
}

static GCC: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| list(include_str!("gcc.txt")));
static CLANG: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| list(include_str!("clang.txt")));

/// `arg` is a switch without a value, or one whose value the compiler of `family` lists.
pub fn is_known(arg: &[u8], family: Family) -> bool {
    let Some(equals) = arg.iter().position(|&byte| byte == b'=') else { return true };
    let name = &arg[..=equals];
    // Clang takes many switches for the sake of GCC without listing them.
    match family {
        Family::Gcc => GCC.contains(name),
        Family::Clang => CLANG.contains(name) || GCC.contains(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert!(is_known(b"-fno-such-switch", Family::Gcc));
        assert!(is_known(b"-falign-functions=16", Family::Gcc));
        assert!(is_known(b"-mtune=generic", Family::Clang));
        assert!(is_known(b"-fbracket-depth=5", Family::Clang));
        assert!(!is_known(b"-fbracket-depth=5", Family::Gcc));
        assert!(!is_known(b"-fwhat-is-this=5", Family::Gcc));
        assert!(!is_known(b"-mwhat=/etc/passwd", Family::Clang));
    }
}
