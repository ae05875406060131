//! The Java types that are built here, held weakly: a strong global reference to one of them would keep its class loader,
//! and with it every class of a NAR that NiFi has replaced, for as long as the JVM runs.
//!
//! They are there whenever native code runs, because the native methods' own class, which is on the stack then, has the
//! same class loader.

use std::sync::OnceLock;

use jni::objects::{JClass, JMethodID, JObject, JThrowable, JValue};
use jni::refs::{LoaderContext, Weak};
use jni::signature::MethodSignature;
use jni::strings::JNIStr;
use jni::{Env, jni_sig, jni_str};

use crate::error::Error;

/// A class and its one constructor.
pub(crate) struct Class {
    class: Weak<JClass<'static>>,
    constructor: JMethodID,
}

/// All of them.
pub(crate) struct Classes {
    exception: Class,
    pub(crate) part_header: Class,
    pub(crate) outcome: Class,
}

static CLASSES: OnceLock<Classes> = OnceLock::new();

/// Finds the types through the class loader of `native_class`, whatever loader the calling thread has, and checks that
/// they have the constructors used here. Once for a loaded copy of the library.
pub(crate) fn bind(env: &mut Env<'_>, native_class: &JClass<'_>) -> Result<(), Error> {
    if CLASSES.get().is_some() {
        return Ok(());
    }
    let loader = native_class.get_class_loader(env)?;
    let context = LoaderContext::Loader(&loader);
    let classes = Classes {
        exception: Class::find(
            env,
            &context,
            jni_str!("io.shardflow.nifi.bridge.NativeException"),
            jni_sig!("(ILjava/lang/String;)V"),
        )?,
        part_header: Class::find(
            env,
            &context,
            jni_str!("io.shardflow.nifi.bridge.PartHeader"),
            jni_sig!("(JIZJJLjava/lang/String;[Ljava/lang/String;)V"),
        )?,
        outcome: Class::find(
            env,
            &context,
            jni_str!("io.shardflow.nifi.bridge.Outcome"),
            jni_sig!("(IJJJLjava/lang/String;Ljava/lang/String;)V"),
        )?,
    };
    // Another thread may have been faster; its finds are the same.
    let _ = CLASSES.set(classes);
    Ok(())
}

/// What [`bind`] found.
pub(crate) fn classes() -> jni::errors::Result<&'static Classes> {
    CLASSES.get().ok_or(jni::errors::Error::NullPtr("the Java types are not bound"))
}

impl Classes {
    /// A `NativeException`.
    ///
    /// # Errors
    /// When Java has no memory for it.
    pub(crate) fn exception<'local>(
        &self,
        env: &mut Env<'local>,
        code: i32,
        message: &JObject<'_>,
    ) -> jni::errors::Result<JThrowable<'local>> {
        let object = self.exception.build(env, &[JValue::Int(code), JValue::Object(message)])?;
        // SAFETY: the object was made from the class of the exception just now.
        Ok(unsafe { JThrowable::from_raw(env, object.into_raw()) })
    }
}

impl Class {
    fn find(
        env: &mut Env<'_>,
        context: &LoaderContext<'_, '_>,
        name: &JNIStr,
        constructor: MethodSignature<'_, '_>,
    ) -> Result<Self, Error> {
        let class = context.load_class(env, name, true)?;
        let constructor = env.get_method_id(&class, jni_str!("<init>"), constructor)?;
        Ok(Self { class: env.new_weak_ref(&class)?, constructor })
    }

    /// The class itself, for as long as the reference lives.
    pub(crate) fn get<'local>(&self, env: &mut Env<'local>) -> jni::errors::Result<JClass<'local>> {
        self.class.upgrade_local(env)?.ok_or(jni::errors::Error::ObjectFreed)
    }

    /// A new object. `arguments` have the number and the types that the constructor was looked up with.
    pub(crate) fn build<'local>(
        &self,
        env: &mut Env<'local>,
        arguments: &[JValue<'_>],
    ) -> jni::errors::Result<JObject<'local>> {
        let class = self.get(env)?;
        let arguments: Vec<_> = arguments.iter().map(JValue::as_jni).collect();
        // SAFETY: the constructor is one of this class, which is loaded as long as `class` lives; the callers, all in this
        // crate, pass what the signature in `bind` names.
        let object = unsafe { env.new_object_unchecked(&class, self.constructor, &arguments) }?;
        env.delete_local_ref(class);
        Ok(object)
    }
}
