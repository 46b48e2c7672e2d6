//! Reading files and writing them whole or not at all; `-` is standard input or output.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Whether the path means standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All bytes of a file or of standard input.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if is_standard(path) {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    match result {
        Ok(_) => Ok(bytes),
        Err(error) => Err(about(path, &error)),
    }
}

/// The text of a file or of standard input.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Failed(format!(
            "{}: expected text in UTF-8, found a byte that is none at {at}",
            name(path)
        ))
    })
}

/// Writes a file whole or not at all, or writes to standard output.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_standard(path) {
        return print_bytes(bytes);
    }
    write_whole(path, bytes).map_err(|error| about(path, &error))
}

/// Writes text to standard output. A reader that has gone away ends the command quietly.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Closed),
        Err(error) => Err(Failure::Failed(format!("standard output: {error}"))),
    }
}

/// How messages call a path.
pub fn name(path: &Path) -> String {
    if is_standard(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// An error with the path it is about.
pub fn about(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", name(path)))
}

/// Fails unless a file could be written there: before a long work rather than after it.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    if is_standard(path) {
        return Ok(());
    }
    let check = || -> io::Result<()> {
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let beside = beside(path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)?;
        fs::remove_file(beside)
    };
    check().map_err(|error| about(path, &error))
}

/// Writes beside the file, waits until it is on the disk, renames it, and waits until that is too: whenever the
/// process or the machine stops, the old file or the new one is there whole.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link keeps being a link; what is no ordinary file (a pipe, a device) can only be written to.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let existing = match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(metadata) if !metadata.is_file() => {
            return OpenOptions::new()
                .write(true)
                .open(&target)?
                .write_all(bytes);
        }
        Ok(metadata) => Some(metadata),
        Err(_) => None,
    };
    let beside = beside(&target)?;
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&beside)?;
        file.write_all(bytes)?;
        if let Some(existing) = existing {
            file.set_permissions(existing.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, &target)
    })();
    if let Err(error) = written {
        // The first error says more than one of cleaning up.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder(&target)
}

/// A name beside the file that no other process uses.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected the name of a file",
        ));
    };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(temporary);
    // One that a killed process with the same number left behind.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(beside),
    }
}

/// Waits until the new name is on the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders cannot be opened as files here.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("cotangent-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn files_are_replaced_and_nothing_stays_beside() {
        let folder = folder("replace");
        let file = folder.join("x");
        check_writable(&file).unwrap();
        for text in ["one", "two"] {
            write(&file, text.as_bytes()).unwrap();
            assert_eq!(read_text(&file).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folders_and_missing_folders_are_errors() {
        let folder = folder("errors");
        for path in [folder.clone(), folder.join("no/such"), folder.join("..")] {
            assert!(check_writable(&path).is_err(), "{path:?}");
            assert!(write(&path, b"").is_err(), "{path:?}");
        }
        assert!(read(&folder.join("nothing")).is_err());
        fs::write(folder.join("x"), [b'a', 0xff]).unwrap();
        let Err(Failure::Failed(message)) = read_text(&folder.join("x")) else {
            panic!("expected an error")
        };
        assert!(message.ends_with("expected text in UTF-8, found a byte that is none at 1"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_devices() {
        let folder = folder("links");
        fs::write(folder.join("target"), "old").unwrap();
        std::os::unix::fs::symlink("target", folder.join("link")).unwrap();
        write(&folder.join("link"), b"new").unwrap();
        assert!(
            fs::symlink_metadata(folder.join("link"))
                .unwrap()
                .is_symlink()
        );
        assert_eq!(fs::read_to_string(folder.join("target")).unwrap(), "new");
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        fs::remove_dir_all(folder).unwrap();
    }
}
