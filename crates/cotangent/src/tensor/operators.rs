//! The operators of Rust on tensors.

use std::ops;

use cotangent_graph::ops::{Binary, Unary};

use super::{Operand, OperandValue, Tensor, operand::binary, push};

macro_rules! binary_operators {
    ($($Trait:ident $method:ident, $Assign:ident $assign:ident, $op:ident, [$($left:ty)*];)*) => {$(
        impl<R: Operand> ops::$Trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, right: R) -> Tensor {
                binary(Binary::$op, self, right)
            }
        }

        impl<R: Operand> ops::$Trait<R> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, right: R) -> Tensor {
                binary(Binary::$op, self, right)
            }
        }

        impl<R: Operand> ops::$Assign<R> for Tensor {
            #[track_caller]
            fn $assign(&mut self, right: R) {
                *self = binary(Binary::$op, &*self, right);
            }
        }

        // One float and one integer type: with more, the type of `(2.0 * x).sum(..)` could not be
        // inferred. Variables of other types stand on the right, or are converted.
        $(
            impl ops::$Trait<Tensor> for $left {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, right: Tensor) -> Tensor {
                    binary(Binary::$op, OperandValue::Scalar(self.into()), right)
                }
            }

            impl ops::$Trait<&Tensor> for $left {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, right: &Tensor) -> Tensor {
                    binary(Binary::$op, OperandValue::Scalar(self.into()), right)
                }
            }
        )*
    )*};
}

binary_operators! {
    Add add, AddAssign add_assign, Add, [f64 i64];
    Sub sub, SubAssign sub_assign, Sub, [f64 i64];
    Mul mul, MulAssign mul_assign, Mul, [f64 i64];
    Div div, DivAssign div_assign, Div, [f64 i64];
    Rem rem, RemAssign rem_assign, Rem, [f64 i64];
    BitAnd bitand, BitAndAssign bitand_assign, And, [bool i64];
    BitOr bitor, BitOrAssign bitor_assign, Or, [bool i64];
    BitXor bitxor, BitXorAssign bitxor_assign, Xor, [bool i64];
    Shl shl, ShlAssign shl_assign, Shl, [i64];
    Shr shr, ShrAssign shr_assign, Shr, [i64];
}

macro_rules! unary_operators {
    ($($Trait:ident $method:ident $op:ident;)*) => {$(
        impl ops::$Trait for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                push(Unary::$op, &[&self])
            }
        }

        impl ops::$Trait for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                push(Unary::$op, &[self])
            }
        }
    )*};
}

unary_operators! {
    Neg neg Neg;
    Not not Not;
}
