//! Operations written in Rust by users: their operands are copied to arrays, their results back.

use cotangent_array::Array;
use cotangent_graph::ops::Native;
use cotangent_graph::{EvalError, TensorType, Type};

use crate::RunError;
use crate::kernels::Arg;
use crate::memory::{Frame, Run, Slot};

/// The step that calls a closure. It allocates: the closure's arrays are its own.
pub(crate) fn call(native: Native, args: Vec<Arg>, outs: Vec<Arg>) -> Run {
    let types: Vec<TensorType> = outs.iter().map(|o| (*o.ty).clone()).collect();
    let out = Type::Tuple(types.into());
    Box::new(move |frame| {
        let arrays = args.iter().map(|a| array(frame, a));
        let arrays: Vec<Array> = arrays.collect::<Result<_, RunError>>()?;
        let results = native.run(&arrays, &out).map_err(|error| match error {
            EvalError::Native { name, message } => RunError::Native { name, message },
            other => RunError::Plan(other.to_string()),
        })?;
        for (arg, array) in outs.iter().zip(&results) {
            let bytes = array.as_bytes();
            let slot = bytes_of(arg);
            if slot.len != bytes.len() {
                return Err(RunError::Plan("a result of another size".into()));
            }
            // SAFETY: the plan was checked: results overlap nothing that is read, and the array is
            // of the type that stands here, so its bytes are elements of it.
            unsafe { frame.write::<u8>(slot) }.copy_from_slice(bytes);
        }
        Ok(())
    })
}

fn array(frame: &Frame<'_>, arg: &Arg) -> Result<Array, RunError> {
    // SAFETY: the plan was checked: an array of this type stands here, and every element is made of
    // bytes; nothing writes while it is copied.
    let bytes: &[u8] = unsafe { frame.read(bytes_of(arg)) };
    Ok(Array::from_bytes(
        arg.ty.dtype,
        arg.ty.shape.clone(),
        bytes,
    )?)
}

fn bytes_of(arg: &Arg) -> Slot {
    Slot {
        len: arg.ty.bytes(),
        ..arg.slot
    }
}
