//! Reading strings and words out of a held process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The longest path the kernel takes, with its final NUL.
const PATH_MAX: usize = libc::PATH_MAX as usize;
/// Reads do not cross a multiple of this: what lies behind may not be mapped. The page size, or a divisor of it.
const PAGE: usize = 4096;
/// Most paths are shorter than this.
const FIRST: usize = 256;

/// Why memory could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The address or the string is bad: the call itself will fail, or the process is gone.
    Bad,
    /// We may not look.
    Forbidden,
}

/// The string at `address`, without its NUL.
pub(crate) fn string(tid: u32, address: u64) -> Result<Vec<u8>, Unread> {
    let mut text = Vec::with_capacity(FIRST);
    while text.len() < PATH_MAX {
        let at = address.wrapping_add(text.len() as u64);
        let page_left = PAGE - (at % PAGE as u64) as usize;
        let ask = if text.is_empty() { page_left.min(FIRST) } else { page_left.min(PATH_MAX - text.len()) };
        let old = text.len();
        text.resize(old + ask, 0);
        read(tid, at, &mut text[old..])?;
        if let Some(end) = text[old..].iter().position(|b| *b == 0) {
            text.truncate(old + end);
            return Ok(text);
        }
    }
    Err(Unread::Bad)
}

/// The pointers of a NULL-terminated array, at most `limit`.
pub(crate) fn pointers(tid: u32, address: u64, width: usize, limit: usize) -> Result<Vec<u64>, Unread> {
    let mut found = Vec::new();
    let mut bytes = [0u8; PAGE];
    let mut at = address;
    while found.len() < limit {
        let page_left = PAGE - (at % PAGE as u64) as usize;
        let ask = if page_left < width { width } else { page_left - page_left % width };
        let part = &mut bytes[..ask];
        read(tid, at, part)?;
        for word in part.chunks_exact(width) {
            let mut wide = [0u8; 8];
            wide[..width].copy_from_slice(word);
            match u64::from_le_bytes(wide) {
                0 => return Ok(found),
                pointer => found.push(pointer),
            }
        }
        at = at.wrapping_add(ask as u64);
    }
    Ok(found)
}

/// Fills `into` from `address`.
pub(crate) fn read(tid: u32, address: u64, into: &mut [u8]) -> Result<(), Unread> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as usize as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: the local part is valid for writes; the remote part is an address of the other process.
    let n = unsafe { libc::process_vm_readv(tid as libc::pid_t, &raw const local, 1, &raw const remote, 1, 0) };
    if n == into.len() as isize {
        return Ok(());
    }
    if n >= 0 {
        return Err(Unread::Bad);
    }
    match io::Error::last_os_error().raw_os_error() {
        // Some containers forbid this call but not the file.
        Some(libc::ENOSYS | libc::EPERM) => read_file(tid, address, into),
        _ => Err(Unread::Bad),
    }
}

/// Writes `from` to `address`.
///
/// # Errors
///
/// When nothing is mapped there, or we may not.
pub(crate) fn write(tid: u32, address: u64, from: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = libc::iovec { iov_base: address as usize as *mut libc::c_void, iov_len: from.len() };
    // SAFETY: the local part is valid for reads; the remote part is an address of the other process.
    let n = unsafe { libc::process_vm_writev(tid as libc::pid_t, &raw const local, 1, &raw const remote, 1, 0) };
    if n == from.len() as isize {
        return Ok(());
    }
    let file = File::options().write(true).open(format!("/proc/{tid}/mem"))?;
    file.write_all_at(from, address)
}

fn read_file(tid: u32, address: u64, into: &mut [u8]) -> Result<(), Unread> {
    let refused = |e: io::Error| match e.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Unread::Forbidden,
        _ => Unread::Bad,
    };
    let file = File::open(format!("/proc/{tid}/mem")).map_err(refused)?;
    file.read_exact_at(into, address).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> u32 {
        std::process::id()
    }

    #[test]
    fn reads_strings_of_any_length_at_any_place() {
        for length in [0, 1, 255, 256, 257, 3000, 4095] {
            for shift in [0, 1, 2048, 4090] {
                let mut bytes = vec![b'x'; shift];
                bytes.extend(vec![b'y'; length]);
                bytes.push(0);
                let address = bytes.as_ptr() as u64 + shift as u64;
                assert_eq!(string(me(), address).unwrap(), vec![b'y'; length]);
            }
        }
    }

    #[test]
    fn a_string_without_end_and_a_bad_address_are_bad() {
        let long = vec![b'y'; 5000];
        assert_eq!(string(me(), long.as_ptr() as u64), Err(Unread::Bad));
        assert_eq!(string(me(), 16), Err(Unread::Bad));
        assert_eq!(string(me(), u64::MAX - 3), Err(Unread::Bad));
    }

    #[test]
    fn a_string_that_ends_at_an_unmapped_page_is_read() {
        // SAFETY: two fresh pages, the second made unreadable, written only in the first.
        let address = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let map = libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(map.byte_add(4096), 4096, libc::PROT_NONE), 0);
            let text = map.byte_add(4096 - 4).cast::<u8>();
            std::ptr::copy_nonoverlapping(c"abc".as_ptr().cast(), text, 4);
            text as u64
        };
        assert_eq!(string(me(), address).unwrap(), b"abc");
    }

    #[test]
    fn reads_pointer_arrays_of_both_widths() {
        let wide: Vec<u64> = (1..2000).chain([0]).collect();
        assert_eq!(pointers(me(), wide.as_ptr() as u64, 8, 4096).unwrap(), wide[..1999]);
        assert_eq!(pointers(me(), wide.as_ptr() as u64, 8, 600).unwrap()[..600], wide[..600]);
        let narrow: Vec<u32> = vec![7, 8, 9, 0];
        assert_eq!(pointers(me(), narrow.as_ptr() as u64, 4, 10).unwrap(), [7, 8, 9]);
    }
}
