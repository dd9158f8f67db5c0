//! How hosts' names are looked up.

/// Makes the C library of a static program look hosts up in `/etc/hosts` and over DNS by itself, whatever
/// `/etc/nsswitch.conf` says. A static program would otherwise load plug-ins that belong to another version of the
/// library, and may crash in them. Does nothing in a program that is linked dynamically.
///
/// [`Remote::open`](super::Remote::open) calls it; a program that looks names up before that calls it first.
pub fn look_up_without_plugins() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::{c_char, c_int, c_ulong};
        use std::sync::Once;

        unsafe extern "C" {
            // glibc, nss/nss.h: sets the services of one database for this process.
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
            fn getauxval(kind: c_ulong) -> c_ulong;
        }
        /// The address of the program's interpreter, the dynamic loader; a static program has none (getauxval(3)). That is
        /// asked here, since how the program is linked is not known yet when this is compiled.
        const AT_BASE: c_ulong = 7;
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: it takes a number and gives a number.
            if unsafe { getauxval(AT_BASE) } == 0 {
                // SAFETY: both are constant, terminated texts, which the library copies.
                unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
            }
        });
    }
}
