/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.PropertyValue;
import org.apache.nifi.processor.DataUnit;
import org.apache.nifi.processor.ProcessContext;

/** Collects properties in the form that crosses to the native side: blank means absent, milliseconds, bytes. */
final class Settings {

    private final ProcessContext context;
    private final Map<String, String> values = new LinkedHashMap<>();

    Settings(final ProcessContext context) {
        this.context = context;
    }

    /** Values as they are, with expressions on the environment evaluated. */
    Settings text(final PropertyDescriptor... descriptors) {
        for (final PropertyDescriptor descriptor : descriptors) {
            put(descriptor, value -> value.getValue().trim());
        }
        return this;
    }

    /** A value as it is, with its white space, also when there is nothing else in it. */
    Settings raw(final PropertyDescriptor descriptor) {
        final String value = context.getProperty(descriptor).getValue();
        if (value != null) {
            values.put(descriptor.getName(), value);
        }
        return this;
    }

    /** Time periods, in milliseconds. */
    Settings duration(final PropertyDescriptor... descriptors) {
        for (final PropertyDescriptor descriptor : descriptors) {
            put(descriptor, value -> Long.toString(value.asTimePeriod(TimeUnit.MILLISECONDS)));
        }
        return this;
    }

    /** Data sizes, in bytes. */
    Settings size(final PropertyDescriptor... descriptors) {
        for (final PropertyDescriptor descriptor : descriptors) {
            put(descriptor, value -> Long.toString(value.asDataSize(DataUnit.B).longValue()));
        }
        return this;
    }

    /** A value that is no property's. */
    Settings value(final String name, final String value) {
        values.put(name, value);
        return this;
    }

    Map<String, String> toMap() {
        return values;
    }

    private void put(final PropertyDescriptor descriptor, final Function<PropertyValue, String> form) {
        PropertyValue value = context.getProperty(descriptor);
        if (descriptor.isExpressionLanguageSupported()) {
            value = value.evaluateAttributeExpressions();
        }
        if (isSet(value)) {
            values.put(descriptor.getName(), form.apply(value));
        }
    }

    /** Whether there is a value other than blank. */
    static boolean isSet(final PropertyValue value) {
        return value.getValue() != null && !value.getValue().isBlank();
    }
}
