//! How an error or a panic reaches Java: as `NativeException(int code, String message)`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jni::Env;
use jni::errors::ErrorPolicy;
use jni::objects::{JString, JThrowable};

use crate::classes::classes;
use crate::error::Error;

/// Throws the exception and returns the default value, which Java does not see.
pub(crate) struct Throw;

impl<T: Default> ErrorPolicy<T, Error> for Throw {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _captures: &mut Self::Captures<'unowned_env_local, 'native_method>,
        error: Error,
    ) -> jni::errors::Result<T> {
        throw(env, &error)?;
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        _captures: &mut Self::Captures<'unowned_env_local, 'native_method>,
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        throw(env, &Error::Panic(panic_text(payload)))?;
        Ok(T::default())
    }
}

/// An exception that is already on its way is the better explanation and stays.
fn throw(env: &mut Env<'_>, error: &Error) -> jni::errors::Result<()> {
    if env.exception_check() {
        return Ok(());
    }
    let thrown = match exception(env, error) {
        Ok(exception) => env.throw(exception),
        // Without our own class (a jar of another version) the text still arrives.
        Err(_) if !env.exception_check() => env.throw(error.to_string()),
        Err(_) => Ok(()),
    };
    match thrown {
        // How `throw` says that it has thrown.
        Err(jni::errors::Error::JavaException) => Ok(()),
        other => other,
    }
}

fn exception<'local>(env: &mut Env<'local>, error: &Error) -> jni::errors::Result<JThrowable<'local>> {
    let message = JString::from_str(env, error.to_string())?;
    classes()?.exception(env, error.code(), &message)
}

/// The text of a panic, also of a formatted one.
pub(crate) fn panic_text(payload: Box<dyn Any + Send + 'static>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return format!("panic: {text}"),
        Err(payload) => payload,
    };
    let payload = match payload.downcast::<&'static str>() {
        Ok(text) => return format!("panic: {text}"),
        Err(payload) => payload,
    };
    // The drop of a foreign payload may panic in turn; that one is given up, so that nothing unwinds into the JVM.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    "panic without a text".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[test]
    fn every_kind_of_panic_has_a_text() {
        let number = 7;
        let formatted = catch_unwind(|| panic!("number {number}")).unwrap_err();
        assert_eq!(panic_text(formatted), "panic: number 7");
        let plain = catch_unwind(|| panic!("plain")).unwrap_err();
        assert_eq!(panic_text(plain), "panic: plain");
        let indexed = catch_unwind(|| Vec::<u8>::new()[number]).unwrap_err();
        assert!(panic_text(indexed).contains("index is 7"));
        assert_eq!(panic_text(Box::new(PanicsInDrop)), "panic without a text");
    }
}
