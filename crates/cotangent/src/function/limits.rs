//! Within which limits a function runs.

use std::path::PathBuf;
use std::sync::Mutex;

use super::{Function, Inner, Traced};
use crate::{Tensor, Tree, run};

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The same function with a limit on what loops of unknown length keep of their steps when it
    /// runs; 1 GiB unless set. Derivatives of it have the same limit.
    ///
    /// Reverse mode through a [`while_loop`](crate::control::while_loop) keeps what the loop carries,
    /// step by step: the one memory whose size is not known before the run. A run that needs more
    /// than the limit ends with [`RunError::LoopMemory`](crate::RunError::LoopMemory).
    ///
    /// ```
    /// use cotangent::{Function, Tensor, control};
    /// let f = Function::new(|x: &Tensor| {
    ///     control::while_loop(|y| y.less(1e6), |y: Tensor| y * 1.001, x.clone())
    /// });
    /// assert!(f.grad().call((1.0.into(),)).is_ok());
    /// let error = f.with_loop_memory(1000).grad().call((1.0.into(),)).unwrap_err();
    /// assert!(error.to_string().contains("at least 1008 bytes are needed, the limit is 1000"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn with_loop_memory(self, bytes: usize) -> Function<I, O> {
        let limits = run::Limits {
            loop_memory: Some(bytes),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function, with what its loops of unknown length keep of their steps in files of this
    /// directory when memory is short, instead of in memory alone. The files have no name and are gone
    /// when the run ends, whichever way it ends, a killed process included (on a file system without
    /// files that never had a name, one killed in the very moment of making it leaves an empty file). They
    /// count for [`with_loop_memory`](Function::with_loop_memory), and not for a memory budget. Derivatives of
    /// the function do the same. Linux only.
    ///
    /// ```
    /// use cotangent::{Function, Tensor, control};
    /// let f = Function::new(|x: &Tensor| {
    ///     control::while_loop(|y| y.less(1e6), |y: Tensor| y * 1.001, x.clone())
    /// });
    /// let expected = f.clone().grad().call((1.0.into(),))?;
    /// # if cfg!(target_os = "linux") {
    /// let in_files = f.with_loop_directory(std::env::temp_dir()).grad();
    /// assert_eq!(in_files.call((1.0.into(),))?, expected);
    /// # }
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// A directory in which no file can be made is an error of the run,
    /// [`RunError::LoopDirectory`](crate::RunError::LoopDirectory).
    pub fn with_loop_directory(self, directory: impl Into<PathBuf>) -> Function<I, O> {
        let limits = run::Limits {
            loop_directory: Some(directory.into().into()),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function within a memory budget: a run holds at most this many bytes, arrays of
    /// arguments, results and constants included. Where the values between do not fit, some are
    /// computed again when they are needed instead of being kept, as few and cheap ones as can be
    /// found; no bit of a result depends on it. Derivatives of the function have the same budget.
    ///
    /// ```
    /// use cotangent::{Array, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| {
    ///     let mut y = x.clone();
    ///     for _ in 0..20 {
    ///         y = y.dot(x).tanh();
    ///     }
    ///     y.sum(..)
    /// });
    /// let x = Array::zeros(cotangent::DType::F64, [100, 100])?; // 80,000 bytes
    /// let gradient = f.clone().grad().call((x.clone(),))?;
    /// assert_eq!(f.clone().with_memory_budget(1_000_000).grad().call((x.clone(),))?, gradient);
    /// let error = f.with_memory_budget(100_000).grad().call((x,)).unwrap_err();
    /// assert!(error.to_string().contains("the smallest budget reached is"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// The error of a [`call`](Function::call) whose budget is too small names the smallest that was
    /// found to work, and one below which none can.
    pub fn with_memory_budget(self, bytes: usize) -> Function<I, O> {
        let limits = run::Limits {
            memory_budget: Some(bytes),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function, for whose arithmetic numbers below the smallest normal one (2.2e-308, f32: 1.2e-38)
    /// are zeros. Some processors take a hundred cycles for each product with such a number, and a density far
    /// from its mean is one. JAX does so always, C with `-ffast-math` does, PyTorch where it is told to.
    /// Derivatives of the function do the same.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let density = Function::new(|x: &Tensor| (-x * x / 2.0).exp()).with_flushed_subnormals();
    /// let far = density.call((38.0.into(),))?; // 2.9e-314 to the last digit, here perhaps 0
    /// assert!(far.item::<f64>()? < 3e-314);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// It concerns code that is generated for a function. Products of matrices and other kernels keep such
    /// numbers, and so do processors without AVX2: results may then differ in what is all but 0.
    pub fn with_flushed_subnormals(self) -> Function<I, O> {
        let limits = run::Limits {
            flush_subnormals: true,
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    /// The same function with a limit on the threads that work on a run, the caller's among them; 0 is
    /// as many as there are by default: the variable `COTANGENT_THREADS`, or else 1. Derivatives of it
    /// have the same limit. Results do not depend on it, bit for bit.
    ///
    /// Other threads than the caller's come from one pool of the process, which starts them when they
    /// first have work. They help one run at a time, with what takes a few microseconds or more.
    ///
    /// ```
    /// use cotangent::{Array, DType, Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.dot(x).tanh().sum(..)).grad();
    /// let x = Array::zeros(DType::F64, [100, 100])?;
    /// assert_eq!(f.clone().with_threads(1).call((x.clone(),))?, f.with_threads(2).call((x,))?);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    pub fn with_threads(self, threads: usize) -> Function<I, O> {
        let limits = run::Limits {
            threads: Some(threads),
            ..self.inner.limits.clone()
        };
        self.within(limits)
    }

    fn within(self, limits: run::Limits) -> Function<I, O> {
        let inner = self.inner;
        let base = inner.base.clone();
        Function {
            direct: self.direct,
            ..Function::from_inner(Inner {
                name: inner.name.clone(),
                at: inner.at,
                limits,
                build: Box::new(move |signature| {
                    let traced = inner.traced(signature)?;
                    Ok(Traced {
                        graph: traced.graph.clone(),
                        result: traced.result.clone(),
                        captures: traced.captures.clone(),
                        program: run::Program::default(),
                    })
                }),
                cache: Mutex::default(),
                linearized: Mutex::default(),
                base: base.clone(),
            })
        }
    }
}
