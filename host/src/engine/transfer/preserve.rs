//! What a copy takes over from its source beside the bytes (B-132).

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{Gid, Uid, XattrFlags, fchown, fgetxattr, flistxattr, fsetxattr};

use super::classify::Class;
use super::fault::Fault;
use crate::job::{Code, Preserve};

/// Most bytes of names, and of one value: what the kernel allows.
const XATTR_BYTES_MAX: usize = 64 << 10;

/// Takes over what is wanted. The owner goes first, as changing it clears permission bits.
///
/// # Errors
/// A missing privilege passes once somebody grants it, so it is tried again (B-132).
pub(super) fn take_over(source: &File, copy: &File, wanted: &[Preserve]) -> Result<(), Fault> {
    let order = [Preserve::Owner, Preserve::Group, Preserve::Xattr, Preserve::Mode];
    for one in order.into_iter().filter(|one| wanted.contains(one)) {
        take(source, copy, one).map_err(|why| fault(one, &why))?;
    }
    Ok(())
}

fn take(source: &File, copy: &File, what: Preserve) -> io::Result<()> {
    let (meta, have) = (source.metadata()?, copy.metadata()?);
    match what {
        Preserve::Owner if have.uid() != meta.uid() => {
            Ok(fchown(copy, Some(Uid::from_raw(meta.uid())), None)?)
        }
        Preserve::Group if have.gid() != meta.gid() => {
            Ok(fchown(copy, None, Some(Gid::from_raw(meta.gid())))?)
        }
        Preserve::Owner | Preserve::Group => Ok(()),
        Preserve::Mode => copy.set_permissions(PermissionsExt::from_mode(meta.mode() & 0o7777)),
        Preserve::Xattr => xattrs(source, copy),
    }
}

fn xattrs(source: &File, copy: &File) -> io::Result<()> {
    let mut names = vec![0_u8; XATTR_BYTES_MAX];
    let length = match flistxattr(source, names.as_mut_slice()) {
        // A file system without them has none to take over.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    names.truncate(length);
    let mut value = vec![0_u8; XATTR_BYTES_MAX];
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = fgetxattr(source, name, value.as_mut_slice())?;
        fsetxattr(
            copy,
            name,
            value.get(..length).unwrap_or_default(),
            XattrFlags::empty(),
        )?;
    }
    Ok(())
}

fn fault(what: Preserve, why: &io::Error) -> Fault {
    let denied = matches!(why.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    let fault = Fault::local(why);
    let text = format!("its {what} cannot be taken over from the source: {why}");
    if denied {
        return Fault {
            code: Code::ACCESSDENIED,
            class: Class::Transient,
            what: text,
            ..fault
        };
    }
    Fault { what: text, ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b132_a_missing_privilege_is_a_passing_e_accessdenied() {
        for errno in [libc::EPERM, libc::EACCES] {
            let fault = fault(Preserve::Owner, &io::Error::from_raw_os_error(errno));
            assert_eq!((fault.code, fault.class), (Code::ACCESSDENIED, Class::Transient));
        }
        let full = fault(Preserve::Xattr, &io::Error::from_raw_os_error(libc::EROFS));
        assert_eq!((full.code, full.class), (Code::errno(libc::EROFS), Class::Fatal));
    }

    #[test]
    fn b132_mode_and_attributes_are_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (source, copy) = (dir.path().join("source"), dir.path().join("copy"));
        let (source, copy) = (File::create(source).unwrap(), File::create(copy).unwrap());
        source.set_permissions(PermissionsExt::from_mode(0o640)).unwrap();
        let named = fsetxattr(&source, "user.colour", b"red", XattrFlags::empty()).is_ok();
        take_over(&source, &copy, Preserve::ALL).unwrap();
        assert_eq!(copy.metadata().unwrap().mode() & 0o7777, 0o640);
        if named {
            let mut value = [0_u8; 8];
            let length = fgetxattr(&copy, "user.colour", value.as_mut_slice()).unwrap();
            assert_eq!(value[..length], *b"red");
        }
    }
}
