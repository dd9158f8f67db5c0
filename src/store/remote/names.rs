//! How hosts' names are looked up.

/// Makes the C library of a static program look hosts up in `/etc/hosts` and over DNS by itself, whatever
/// `/etc/nsswitch.conf` says. A static program would otherwise load plug-ins that belong to another version of the
/// library, and may crash in them. Does nothing in a program that is linked dynamically.
///
/// [`Remote::open`](super::Remote::open) calls it; a program that looks names up before that calls it first.
pub fn look_up_without_plugins() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        use std::ffi::{c_char, c_int};
        use std::sync::Once;

        unsafe extern "C" {
            // glibc, nss/nss.h: sets the services of one database for this process.
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
        }
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: both are constant, terminated texts, which the library copies.
            unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
        });
    }
}
