//! The oldest C library that the native library can be loaded with.
//!
//! A library built on a new system asks for versions of symbols that an older one does not have, and is then not loaded
//! there at all. What is handed out must not ask for more than [`FLOOR`].

use object::Endianness;
use object::elf::{FileHeader64, VER_FLG_WEAK};
use object::read::elf::FileHeader;

use crate::error::{Error, Result};

/// Version of glibc.
pub type Version = (u32, u32);

/// What README promises: the glibc of RHEL 9, Amazon Linux 2023 and everything newer.
pub const FLOOR: Version = (2, 34);

/// The newest version of glibc that a 64-bit ELF file cannot do without; `None` when it needs none, or is of another
/// kind of system.
pub fn needed(library: &[u8]) -> Result<Option<Version>> {
    if !library.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    versions(library).map(|all| all.into_iter().max()).map_err(|e| Error::Other(format!("reading ELF: {e}")))
}

fn versions(library: &[u8]) -> object::Result<Vec<Version>> {
    let header = FileHeader64::<Endianness>::parse(library)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, library)?;
    let mut found = Vec::new();
    let Some((mut files, link)) = sections.gnu_verneed(endian, library)? else { return Ok(found) };
    let strings = sections.strings(endian, library, link)?;
    while let Some((_, mut symbols)) = files.next()? {
        while let Some(symbol) = symbols.next()? {
            // Without a weak one the library is loaded all the same.
            let weak = symbol.vna_flags.get(endian) & VER_FLG_WEAK != 0;
            found.extend(version(symbol.name(endian, strings)?).filter(|_| !weak));
        }
    }
    Ok(found)
}

fn version(name: &[u8]) -> Option<Version> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    // The mark of a table of relocations that older loaders do not understand.
    if version == "ABI_DT_RELR" {
        return Some((2, 36));
    }
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What is wrong with a library that needs this version, if anything.
pub fn too_new(needed: Option<Version>) -> Option<String> {
    let (major, minor) = needed.filter(|version| *version > FLOOR)?;
    Some(format!(
        "the native library needs glibc {major}.{minor}, and README promises {}.{}: build it on an older system, for \
         example in a container",
        FLOOR.0, FLOOR.1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::read::elf::SectionHeader as _;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version(b"GLIBC_2.9"), Some((2, 9)));
        assert_eq!(version(b"GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(version(b"GLIBC_ABI_DT_RELR"), Some((2, 36)));
        for other in [&b"GCC_3.0"[..], b"GLIBC_PRIVATE", b"GLIBCXX_3.4"] {
            assert_eq!(version(other), None);
        }
    }

    #[test]
    fn what_is_promised_is_what_is_allowed() {
        assert_eq!(too_new(None), None);
        assert_eq!(too_new(Some((2, 9))), None);
        assert_eq!(too_new(Some(FLOOR)), None);
        let text = too_new(Some((2, 38))).unwrap();
        assert!(text.contains("needs glibc 2.38") && text.contains("promises 2.34"), "{text}");
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&format!("glibc {}.{} or newer", FLOOR.0, FLOOR.1)));
    }

    /// The program that runs this test is one: all names of versions are in its table of strings.
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    #[test]
    fn a_real_program_tells_what_it_needs() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let header = FileHeader64::<Endianness>::parse(&*program).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, &*program).unwrap();
        let (_, names) = sections.section_by_name(endian, b".dynstr").unwrap();
        let names = names.data(endian, &*program).unwrap();
        let listed = names.split(|byte| *byte == 0).filter_map(version).max();
        assert!(listed.is_some());
        assert_eq!(needed(&program).unwrap(), listed);
        assert_eq!(needed(b"MZ").unwrap(), None);
        assert!(needed(&program[..100]).is_err());
    }
}
