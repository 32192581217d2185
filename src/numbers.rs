//! Enums for numbers on the wire.

/// Declares an enum whose variants name numbers, with conversions from and to the number. Unnamed numbers are kept as
/// `Other`.
macro_rules! numbers {
    (
        $(#[$enum_doc:meta])*
        pub enum $name:ident: $int:ty {
            $($(#[$doc:meta])* $variant:ident = $number:literal,)+
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nIts number is ", stringify!($number), ".")]
                $variant,
            )+
            /// A number that has no variant. Conversions from a number return this only for such numbers.
            Other($int),
        }

        impl $name {
            /// Returns the variant for a number.
            #[inline]
            pub const fn from_number(number: $int) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    other => Self::Other(other),
                }
            }

            /// Returns the number on the wire.
            #[inline]
            pub const fn number(self) -> $int {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Other(other) => other,
                }
            }
        }

        impl From<$int> for $name {
            #[inline]
            fn from(number: $int) -> Self {
                Self::from_number(number)
            }
        }

        impl From<$name> for $int {
            #[inline]
            fn from(variant: $name) -> Self {
                variant.number()
            }
        }
    };
}

pub(crate) use numbers;

#[cfg(test)]
mod tests {
    numbers! {
        /// Used by the test.
        pub enum Few: u8 {
            /// The first.
            One = 1,
            /// The second.
            Three = 3,
        }
    }

    #[test]
    fn every_number_round_trips() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(Few::from(number)), number);
        }
        assert_eq!([1, 2, 3].map(Few::from_number), [Few::One, Few::Other(2), Few::Three]);
    }
}
