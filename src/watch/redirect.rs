//! Making a held process execute another file than it asked for.
//!
//! An answer to a trapped call cannot change its arguments. So the process is traced for a moment (`ptrace(2)`): interrupted,
//! its call is about to begin anew; the other path is written below its stack, where nothing lives, the argument pointed
//! there, and the process let go. The call begins anew, and is trapped again, with the other path.
//!
//! The process's own strings stay as they are: a child of `vfork(2)` shares them with its parent.

use std::ffi::CStr;
use std::io;
use std::ptr;

use libc::{c_void, pid_t};

use crate::listener::Listener;
use crate::memory;

/// How far below the stack pointer a path goes. A signal may be delivered before the call begins anew: its frame, with up to
/// 3 KiB of registers, and its handler's own are below the stack pointer, too. Stacks are larger than this: the kernel makes the
/// first one 128 KiB (`setup_arg_pages`), and glibc's `posix_spawn` gives its child 32 KiB.
const BELOW_HANDLERS: u64 = 16 << 10;
/// Where the stack has less. Below the stack pointer so many bytes are a function's own (System V ABI for x86-64, "The Stack
/// Frame"; AAPCS64 has none).
const RED_ZONE: u64 = 128;
/// How the kernel says to itself that a call begins anew (`include/linux/errno.h`).
const ERESTARTNOINTR: i32 = 513;

/// Traced for a moment; let go when dropped.
struct Traced(pid_t);

impl Drop for Traced {
    fn drop(&mut self) {
        self.let_go(0);
    }
}

impl Traced {
    fn seize(tid: pid_t) -> io::Result<Self> {
        // SAFETY: no memory is involved.
        if unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, ptr::null_mut::<c_void>(), ptr::null_mut::<c_void>()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(tid))
    }

    fn interrupt(&self) -> io::Result<()> {
        // SAFETY: no memory is involved.
        match unsafe {
            libc::ptrace(libc::PTRACE_INTERRUPT, self.0, ptr::null_mut::<c_void>(), ptr::null_mut::<c_void>())
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until it has stopped; the signal that is about to be delivered, if it has stopped for that.
    fn stopped(&self) -> io::Result<Option<i32>> {
        let mut status = 0;
        loop {
            // SAFETY: fills the integer.
            let pid = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
            if pid == self.0 {
                break;
            }
            let error = io::Error::last_os_error();
            if pid >= 0 || error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        if !libc::WIFSTOPPED(status) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let of_ours = status >> 16 == libc::PTRACE_EVENT_STOP;
        Ok((!of_ours).then(|| libc::WSTOPSIG(status)))
    }

    fn registers(&self) -> io::Result<Registers> {
        let mut registers = Registers::default();
        self.exchange(libc::PTRACE_GETREGSET, &mut registers)?;
        Ok(registers)
    }

    fn set_registers(&self, mut registers: Registers) -> io::Result<()> {
        self.exchange(libc::PTRACE_SETREGSET, &mut registers)
    }

    fn exchange(&self, request: libc::c_uint, registers: &mut Registers) -> io::Result<()> {
        /// The general registers (`linux/elf.h`).
        const NT_PRSTATUS: usize = 1;
        let mut part = libc::iovec { iov_base: (&raw mut registers.0).cast(), iov_len: size_of_val(&registers.0) };
        // SAFETY: the vector describes the structure, which outlives the call.
        match unsafe { libc::ptrace(request, self.0, NT_PRSTATUS as *mut c_void, (&raw mut part).cast::<c_void>()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn let_go(&self, signal: i32) {
        // SAFETY: no memory is involved. A process that is gone needs not be let go.
        unsafe {
            libc::ptrace(libc::PTRACE_DETACH, self.0, ptr::null_mut::<c_void>(), signal as usize as *mut c_void);
        }
    }
}

/// The general registers.
struct Registers(libc::user_regs_struct);

impl Default for Registers {
    fn default() -> Self {
        // SAFETY: plain integers.
        Self(unsafe { std::mem::zeroed() })
    }
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// The number of the call that begins anew, if one does.
    fn call(&self) -> Option<libc::c_long> {
        let again = (-(self.0.rax as i64)) as i32;
        matches!(again, 512..=516).then_some(self.0.orig_rax as libc::c_long)
    }

    fn set_argument(&mut self, position: usize, value: u64) {
        *(if position == 0 { &mut self.0.rdi } else { &mut self.0.rsi }) = value;
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    fn stack(&self) -> u64 {
        self.0.sp
    }

    /// The number of the call that begins anew: the kernel has put everything back for that before it stops.
    fn call(&self) -> Option<libc::c_long> {
        Some(self.0.regs[8] as libc::c_long)
    }

    fn set_argument(&mut self, position: usize, value: u64) {
        self.0.regs[position] = value;
    }
}

/// Where a path goes: so far below the stack.
fn place(stack: u64, distance: u64, length: u64) -> Option<u64> {
    stack.checked_sub(distance + length).map(|at| at & !15)
}

/// Lets the call `id` of the thread begin anew with `path` as the argument at `position`, which is the first or the second.
/// The call of the native ABI is held; after success it needs no answer.
///
/// # Errors
///
/// When the process may not be traced, is traced already, or is gone. It may be held still, or have begun anew as it was.
pub(crate) fn redirect(listener: &Listener, id: u64, tid: u32, position: usize, path: &CStr) -> io::Result<()> {
    let traced = Traced::seize(tid as pid_t)?;
    if !listener.valid(id) {
        return Err(io::ErrorKind::NotFound.into());
    }
    traced.interrupt()?;
    // Where the wait for an answer cannot be interrupted, this ends it, with the same effect.
    listener.fail(id, ERESTARTNOINTR);
    if let Some(signal) = traced.stopped()? {
        // It comes first; the call begins anew after it, and is trapped again.
        traced.let_go(signal);
        std::mem::forget(traced);
        return Ok(());
    }
    let mut registers = traced.registers()?;
    let bytes = path.to_bytes_with_nul();
    let number = registers.call();
    if ![libc::SYS_execve, libc::SYS_execveat].contains(&number.unwrap_or(-1)) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (stack, length) = (registers.stack(), bytes.len() as u64);
    let places = [BELOW_HANDLERS, RED_ZONE].into_iter().filter_map(|distance| place(stack, distance, length));
    let written = places.into_iter().find(|at| memory::write(tid, *at, bytes).is_ok());
    registers.set_argument(position, written.ok_or(io::ErrorKind::InvalidData)?);
    traced.set_registers(registers)
}
