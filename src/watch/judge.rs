//! What one trapped call needs: nothing, an error, or files first.

use std::collections::HashSet;
use std::ffi::CStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use crate::calls::{Abi, At, Call};
use crate::filter::{OPEN_BLIND, OPEN_NEW};
use crate::held::{Errand, Held, INTERPRETERS, next_image};
use crate::image::Interpreter;
use crate::listener::{Listener, Notice};
use crate::memory::{self, Unread};
use crate::place::{Base, Place, Views};
use crate::redirect::redirect;
use crate::watch::Counters;
use crate::{Access, Copying, Guard, programs};

/// Arguments of a program that are looked at, at most.
const ARGUMENTS: usize = 65536;

/// The answer to a trapped call.
pub(crate) enum Verdict {
    GoOn,
    Fail(i32),
    Hold(Held),
    /// It has been answered.
    Done,
}

/// Looks at trapped calls, on the supervisor's threads.
pub(crate) struct Judge {
    pub listener: Arc<Listener>,
    pub counters: Arc<Counters>,
    pub views: Views,
    /// Threads that could not be made to execute another program, and have begun their call anew.
    pub stubborn: Mutex<HashSet<u32>>,
}

impl Judge {
    /// Decides about one call.
    pub fn judge(&self, notice: &Notice, guard: &Arc<dyn Guard>) -> Verdict {
        let Some((abi, call)) = Abi::find(notice.data.arch, notice.data.nr as u32) else { return Verdict::GoOn };
        let case = Case { judge: self, notice, guard };
        // Nothing can be read or the call will fail by itself: let the kernel say so.
        case.decide(abi, call).unwrap_or(Verdict::GoOn)
    }
}

/// One call. Its methods answer `None` for "nothing to do".
struct Case<'a> {
    judge: &'a Judge,
    notice: &'a Notice,
    guard: &'a Arc<dyn Guard>,
}

impl Case<'_> {
    fn decide(&self, abi: &Abi, call: Call) -> Option<Verdict> {
        match call {
            Call::Open { at, flags } => self.open(at, self.flags(Some(flags))),
            Call::Open2 { at, how } => {
                let mut flags = [0u8; 8];
                memory::read(self.notice.pid, self.argument(how), &mut flags).ok()?;
                self.open(at, u64::from_le_bytes(flags) as i32)
            }
            Call::Exec { at, argv, flags } => self.execute(at, self.argument(argv), self.flags(flags), abi),
            Call::Rename { from, to, flags } => self.rename(from, to, self.flags(flags) as u32),
            Call::Link { from, to, flags } => {
                let follow = self.flags(flags) & libc::AT_SYMLINK_FOLLOW != 0;
                self.link(self.place(from, follow)?, self.place(to, false)?)
            }
            Call::Truncate { at } => self.need(self.place(at, true)?, Access::Write),
            Call::Lstat { at } => self.need(self.place(at, false)?, Access::Stat),
            Call::Fstatat { at, flags } | Call::Statx { at, flags, .. } => {
                let follow = self.flags(Some(flags)) & libc::AT_SYMLINK_NOFOLLOW == 0;
                self.need(self.place(at, follow)?, Access::Stat)
            }
            Call::View => {
                self.judge.views.change();
                self.guard.aliased(None);
                None
            }
            Call::Refuse => Some(Verdict::Fail(libc::ENOSYS)),
        }
    }

    fn open(&self, at: At, flags: i32) -> Option<Verdict> {
        if flags & OPEN_BLIND != 0 || flags & OPEN_NEW == OPEN_NEW {
            return None;
        }
        let access = if flags & libc::O_ACCMODE == libc::O_RDONLY { Access::Read } else { Access::Write };
        self.need(self.place(at, flags & libc::O_NOFOLLOW == 0)?, access)
    }

    /// Holds the call if the file is a placeholder and the program needs more of it.
    fn need(&self, place: Place, access: Access) -> Option<Verdict> {
        let found = place.look()?;
        if !self.guard.concerns(found.id) || programs::spares(&self.program(), access) {
            return None;
        }
        self.hold(vec![Errand { place, access }])
    }

    fn hold(&self, errands: Vec<Errand>) -> Option<Verdict> {
        let id = self.notice.id;
        self.judge.listener.valid(id).then(|| Verdict::Hold(Held { id, guard: Arc::clone(self.guard), errands }))
    }

    fn execute(&self, at: At, argv: u64, flags: i32, abi: &Abi) -> Option<Verdict> {
        let place = self.place(at, flags & libc::AT_SYMLINK_NOFOLLOW == 0)?;
        let found = place.look()?;
        // A placeholder may lack the bit that the real file has.
        let concerned = self.guard.concerns(found.id);
        if !(found.is_executable() || concerned) || !self.judge.listener.valid(self.notice.id) {
            return None;
        }
        let shown = place.shown();
        if abi.is_native()
            && !(concerned || place.foreign || place.path.is_empty())
            && let Some(other) = self.guard.instead(&shown, self.notice.pid)
            && let Some(verdict) = self.lead(at, &other)
        {
            return Some(verdict);
        }
        self.guard.executed(&shown);
        let pointer = abi.pointer;
        let mut errands = Vec::new();
        let name = place.path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if programs::looks_first(name) {
            self.arguments(&place, argv, pointer, &mut errands);
            let can_be_led = abi.is_native() && !(concerned || place.foreign || place.path.is_empty());
            if can_be_led && !errands.is_empty() {
                match self.guard.copies(&shown, self.notice.pid) {
                    Copying::Produce => {}
                    Copying::Leave => errands.clear(),
                    Copying::Lead(other) => {
                        if let Some(verdict) = self.lead(at, &other) {
                            return Some(verdict);
                        }
                    }
                }
            }
        }
        let (mut place, mut file) = (place, found.id);
        for _ in 0..=INTERPRETERS {
            if self.guard.concerns(file) {
                errands.push(Errand { place, access: Access::Execute });
                break;
            }
            let (path, last) = match next_image(&place) {
                Some(Interpreter::Script(path)) => (path, false),
                Some(Interpreter::Loader(path)) => (path, true),
                None => break,
            };
            place = place.sibling(path);
            let Some(found) = place.look() else { break };
            file = found.id;
            if last {
                if self.guard.concerns(file) {
                    errands.push(Errand { place, access: Access::Execute });
                }
                break;
            }
        }
        if errands.is_empty() { None } else { self.hold(errands) }
    }

    /// Makes the process execute another program; `None` if it cannot be made to.
    fn lead(&self, at: At, other: &CStr) -> Option<Verdict> {
        let (id, tid) = (self.notice.id, self.notice.pid);
        let stubborn = || self.judge.stubborn.lock().unwrap_or_else(PoisonError::into_inner);
        // One that could not be redirected asks once more for the same.
        if stubborn().remove(&tid) {
            return None;
        }
        if redirect(&self.judge.listener, id, tid, at.path, other).is_ok() {
            return Some(Verdict::Done);
        }
        if self.judge.listener.valid(id) {
            return None;
        }
        stubborn().insert(tid);
        Some(Verdict::Done)
    }

    /// Placeholders among the arguments, and among the values of options like `--target-directory=`.
    fn arguments(&self, program: &Place, argv: u64, pointer: usize, errands: &mut Vec<Errand>) {
        let Ok(pointers) = memory::pointers(self.notice.pid, argv, pointer, ARGUMENTS) else { return };
        for address in pointers.into_iter().skip(1) {
            let Ok(text) = memory::string(self.notice.pid, address) else { continue };
            let place = program.sibling(text);
            if !place.path.is_empty() && place.look().is_some_and(|f| self.guard.concerns(f.id)) {
                errands.push(Errand { place, access: Access::Read });
            }
        }
    }

    fn link(&self, from: Place, to: Place) -> Option<Verdict> {
        let found = from.look()?;
        self.guard.aliased(Some(found.id));
        if !self.guard.concerns(found.id) {
            return None;
        }
        // To another file system it fails, and so it does where something is already; that is no name then.
        if let Some((parent, device, name)) = to.parent()
            && device == found.id.device
            && self.judge.listener.valid(self.notice.id)
            && self.guard.linked(found.id, &parent.join(name))
        {
            return None;
        }
        self.need(from, Access::Link)
    }

    fn rename(&self, from: At, to: At, flags: u32) -> Option<Verdict> {
        let from = self.place(from, false)?;
        let moved = from.look()?;
        let concerned = self.guard.concerns(moved.id);
        if !concerned && !moved.is_directory() && flags & libc::RENAME_EXCHANGE == 0 {
            return None;
        }
        let to = self.place(to, false)?;
        let there = to.look();
        if flags & libc::RENAME_EXCHANGE != 0 {
            let mut both = [Some(moved), there].into_iter().flatten();
            let ours = both.any(|f| f.is_directory() || self.guard.concerns(f.id));
            return ours.then_some(Verdict::Fail(libc::EINVAL));
        }
        // These fail, and mv(1) tries the first one always.
        if let Some(there) = there
            && (flags & libc::RENAME_NOREPLACE != 0 || there.is_directory() != moved.is_directory())
        {
            // A copy may follow (see below), so a placeholder still needs to be looked at.
            if !concerned || to.parent().is_none_or(|(_, device, _)| device == moved.id.device) {
                return None;
            }
        }
        let (new_parent, device, new_name) = to.parent()?;
        if device != moved.id.device {
            // It fails, and then mv(1) copies: it has to see one inode from beginning to end.
            return if concerned { self.hold(vec![Errand { place: from, access: Access::Read }]) } else { None };
        }
        let (old_parent, _, old_name) = from.parent()?;
        if self.judge.listener.valid(self.notice.id) {
            self.guard.renamed(&old_parent.join(old_name), &new_parent.join(new_name));
        }
        None
    }

    /// The path of an argument; `None` if it cannot be read.
    fn place(&self, at: At, follow: bool) -> Option<Place> {
        match place(self.notice, at, follow, &self.judge.views) {
            Ok(place) => Some(place),
            Err(Unread::Bad) => None,
            Err(Unread::Forbidden) => {
                self.judge.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                self.guard.unreadable(self.notice.pid);
                None
            }
        }
    }

    /// The name under which the caller was executed.
    fn program(&self) -> Vec<u8> {
        let mut name = std::fs::read(format!("/proc/{}/comm", self.notice.pid)).unwrap_or_default();
        name.truncate(name.trim_ascii_end().len());
        name
    }

    fn argument(&self, position: usize) -> u64 {
        self.notice.data.args[position]
    }

    fn flags(&self, position: Option<usize>) -> i32 {
        position.map_or(0, |p| self.argument(p) as i32)
    }
}

/// The path that an argument of a call is.
pub(crate) fn place(notice: &Notice, at: At, follow: bool, views: &Views) -> Result<Place, Unread> {
    let (tid, args) = (notice.pid, &notice.data.args);
    let path = memory::string(tid, args[at.path])?;
    let base = match at.dir.map(|dir| args[dir] as i32) {
        None | Some(libc::AT_FDCWD) => Base::Cwd,
        Some(fd) => Base::Fd(fd),
    };
    // Only AT_EMPTY_PATH gives an empty path a meaning, and only for a descriptor.
    if path.is_empty() && base == Base::Cwd {
        return Err(Unread::Bad);
    }
    Ok(Place { tid, base, path, follow, foreign: views.foreign(tid) })
}
