//! zlib-rs behind the C interface of `libz-ng-sys`, as far as `flate2` calls it.
//!
//! `pingora-core` asks `flate2` for its `zlib-ng` backend, which reaches
//! `libz-ng-sys` and, through its build script, cmake. The root manifest
//! replaces that crate with this one, so that a Rust toolchain and a C compiler
//! are enough to build Evenkeel.
//!
//! A plain re-export does not do: `libz-ng-sys` declares the two allocation
//! callbacks of [`z_stream`] as function pointers that are never null, zlib-rs
//! as `Option`s of them. The struct is declared here as `flate2` expects it and
//! handed on by a pointer cast. That is sound because an `Option` of a function
//! pointer has the layout of the pointer itself, because every other field is
//! of the same type (both checked below, at compile time), and because zlib-rs
//! stores to the callbacks only when it finds them null, which this type rules
//! out.

#![allow(non_camel_case_types, non_snake_case, missing_docs)]

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use core::mem::{align_of, offset_of, size_of};

pub use libz_rs_sys::{
    Z_BEST_COMPRESSION, Z_BEST_SPEED, Z_BLOCK, Z_BUF_ERROR, Z_DATA_ERROR, Z_DEFAULT_COMPRESSION,
    Z_DEFAULT_STRATEGY, Z_DEFLATED, Z_ERRNO, Z_FILTERED, Z_FINISH, Z_FIXED, Z_FULL_FLUSH,
    Z_HUFFMAN_ONLY, Z_MEM_ERROR, Z_NEED_DICT, Z_NO_COMPRESSION, Z_NO_FLUSH, Z_OK, Z_PARTIAL_FLUSH,
    Z_RLE, Z_STREAM_END, Z_STREAM_ERROR, Z_SYNC_FLUSH, Z_TREES, Z_VERSION_ERROR, zlibVersion,
};

pub type alloc_func = unsafe extern "C" fn(voidpf, uInt, uInt) -> voidpf;
pub type free_func = unsafe extern "C" fn(voidpf, voidpf);
pub type internal_state = libz_rs_sys::internal_state;
pub type uInt = c_uint;
pub type uLong = c_ulong;
pub type voidpf = *mut c_void;
pub type z_checksum = libz_rs_sys::uLong;
pub type z_size = libz_rs_sys::uLong;
pub type z_streamp = *mut z_stream;

#[repr(C)]
#[derive(Copy, Clone)]
pub struct z_stream {
    pub next_in: *mut u8,
    pub avail_in: uInt,
    pub total_in: z_size,
    pub next_out: *mut u8,
    pub avail_out: uInt,
    pub total_out: z_size,
    pub msg: *const c_char,
    pub state: *mut internal_state,
    pub zalloc: alloc_func,
    pub zfree: free_func,
    pub opaque: voidpf,
    pub data_type: c_int,
    pub adler: z_checksum,
    pub reserved: uLong,
}

type Theirs = libz_rs_sys::z_stream;

const _: () = {
    assert!(size_of::<z_stream>() == size_of::<Theirs>());
    assert!(align_of::<z_stream>() == align_of::<Theirs>());
    assert!(offset_of!(z_stream, next_in) == offset_of!(Theirs, next_in));
    assert!(offset_of!(z_stream, avail_in) == offset_of!(Theirs, avail_in));
    assert!(offset_of!(z_stream, total_in) == offset_of!(Theirs, total_in));
    assert!(offset_of!(z_stream, next_out) == offset_of!(Theirs, next_out));
    assert!(offset_of!(z_stream, avail_out) == offset_of!(Theirs, avail_out));
    assert!(offset_of!(z_stream, total_out) == offset_of!(Theirs, total_out));
    assert!(offset_of!(z_stream, msg) == offset_of!(Theirs, msg));
    assert!(offset_of!(z_stream, state) == offset_of!(Theirs, state));
    assert!(offset_of!(z_stream, zalloc) == offset_of!(Theirs, zalloc));
    assert!(offset_of!(z_stream, zfree) == offset_of!(Theirs, zfree));
    assert!(offset_of!(z_stream, opaque) == offset_of!(Theirs, opaque));
    assert!(offset_of!(z_stream, data_type) == offset_of!(Theirs, data_type));
    assert!(offset_of!(z_stream, adler) == offset_of!(Theirs, adler));
    assert!(offset_of!(z_stream, reserved) == offset_of!(Theirs, reserved));
};

/// Declares a function that hands its stream and arguments on to zlib-rs.
macro_rules! hand_on {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        /// # Safety
        /// As zlib's function of the same name: `strm` points to a stream that
        /// is valid for reads and writes and that `*Init2_` has prepared.
        pub unsafe extern "C" fn $name(strm: z_streamp, $($arg: $type),*) -> c_int {
            // SAFETY: the caller's promise is zlib-rs's own precondition, and the
            // cast is sound for the reasons in the crate's documentation.
            unsafe { libz_rs_sys::$name(strm.cast::<Theirs>(), $($arg),*) }
        }
    )*};
}

hand_on! {
    deflate(flush: c_int);
    deflateEnd();
    deflateInit2_(level: c_int, method: c_int, window_bits: c_int, mem_level: c_int, strategy: c_int, version: *const c_char, stream_size: c_int);
    deflateParams(level: c_int, strategy: c_int);
    deflateReset();
    deflateSetDictionary(dictionary: *const u8, length: uInt);
    inflate(flush: c_int);
    inflateEnd();
    inflateInit2_(window_bits: c_int, version: *const c_char, stream_size: c_int);
    inflateReset();
    inflateReset2(window_bits: c_int);
    inflateSetDictionary(dictionary: *const u8, length: uInt);
}
