//! The option table itself, and the options that real projects use.

use std::ffi::{OsStr, OsString};

use super::plan;
use crate::Plan;
use crate::driver::name::Family;
use crate::driver::option::{self, Families, Meaning, Operand};
use crate::driver::rows;
use crate::driver::testing::Scratch;

/// Every row is found by its spelling, with its operand, and no other row hides it.
#[test]
fn every_row_is_found() {
    let next = OsString::from("operand");
    for &(spelling, operand, meaning, families) in rows::all() {
        // A family of switches with values is judged by the lists.
        let text = if meaning == Meaning::Listed { "nothing" } else { "operand" };
        let (arg, expected) = match operand {
            Operand::Alone => (spelling.to_owned(), ""),
            Operand::Separate => (spelling.to_owned(), "operand"),
            Operand::Joined | Operand::Either | Operand::Optional => (format!("{spelling}{text}"), text),
        };
        for family in [Family::Gcc, Family::Clang] {
            let other = if family == Family::Gcc { Families::Clang } else { Families::Gcc };
            if families == other {
                continue;
            }
            let found = option::find(OsStr::new(&arg), Some(&next), family).expect(&arg);
            assert_eq!((found.spelling, found.meaning), (spelling, meaning), "{arg}");
            assert_eq!(found.operand, expected, "{arg}");
            if operand == Operand::Either {
                let found = option::find(OsStr::new(spelling), Some(&next), family).expect(spelling);
                assert!(found.separate && found.operand == "operand", "{spelling}");
            }
            if matches!(operand, Operand::Separate | Operand::Either) {
                assert_eq!(option::find(OsStr::new(spelling), None, family), None, "{spelling} without operand");
            }
        }
    }
}

/// Options out of the build logs of real projects: all are known.
#[test]
fn options_of_real_projects() {
    let gcc = "-Wall -Wextra -Werror=format-security -Wno-unused -Wp,-D_FORTIFY_SOURCE=2 -Wa,--noexecstack -O2 -O -Og -g -g3 \
               -ggdb -gdwarf-4 -gz -std=gnu11 -ansi -pedantic -fPIC -fpic -fPIE -fno-pie -fvisibility=hidden -fno-strict-aliasing \
               -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-common -fomit-frame-pointer \
               -ffunction-sections -fdata-sections -ffile-prefix-map=/a=. -fdebug-prefix-map=/a=. -fmacro-prefix-map=a=b \
               -fdiagnostics-color=always -fmax-errors=3 -fopenmp -fno-exceptions -fno-rtti -ftemplate-depth=900 -fwrapv \
               -fconserve-stack -fno-asynchronous-unwind-tables -falign-functions=16 -fpatchable-function-entry=16,16 \
               -fmessage-length=0 -fsanitize=address -fsanitize=kernel-address -mno-sse -mcmodel=kernel \
               -mindirect-branch=thunk-extern -mrecord-mcount -mfentry -msse4.1 -mavx2 -mtune=generic -march=x86-64 \
               -mpreferred-stack-boundary=4 --param=allow-store-data-races=0 --param ssp-buffer-size=4 \
               -pipe -pthread -DX -D Y=1 -UX -I. -isystem . -iquote . -idirafter . -nostdinc -fno-builtin -ffreestanding \
               -undef -Wl,-z,now -L. -s -rdynamic -MD -MP -MF m.d -MT m.o -frandom-seed=x -fuse-ld=gold -flto=auto \
               -ffat-lto-objects -fno-lto -fprofile-update=atomic -fexcess-precision=standard -fpermissive";
    let clang = "-Weverything -Qunused-arguments -fcolor-diagnostics -fbracket-depth=512 -ferror-limit=0 -fno-integrated-as \
                 -Xclang -fcolor-diagnostics -mllvm --target=x86_64-linux-gnu -fexperimental-new-pass-manager \
                 -fsanitize-coverage=trace-pc -ftrivial-auto-var-init=pattern -flto=thin -stdlib=libstdc++ -gline-tables-only \
                 -fno-limit-debug-info -fcoverage-mapping -fprofile-instr-generate -std=c11 -ffp-contract=off";
    for (tool, options) in [("gcc", gcc.to_owned()), ("clang", clang.to_owned())] {
        for option in options.split_whitespace().filter(|it| it.starts_with('-')) {
            let scratch = Scratch::new().with("m.c", "int x;\n");
            // The operands of those that have one follow; any will do.
            let operand = ["-D", "--param", "-isystem", "-iquote", "-idirafter", "-MF", "-MT", "-mllvm", "-Xclang"];
            let mut words = vec![tool, "-c", "m.c", option];
            if operand.contains(&option) {
                words.push(match option {
                    "-Xclang" => "-fcolor-diagnostics",
                    "-mllvm" => "-inline-threshold=100",
                    _ => "x",
                });
            }
            let plan = plan(&scratch.call(&words));
            assert!(matches!(plan, Plan::Thunk(_)), "{words:?}: {plan:?}");
        }
    }
}
