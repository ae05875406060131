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
import java.util.Set;
import java.util.function.UnaryOperator;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.PropertyValue;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.processor.ProcessContext;
import org.apache.nifi.processor.exception.TerminatedTaskException;

/** What the properties say about one FlowFile: where it goes and which range it covers. */
final class Destination {

    private static final PropertyDescriptor[] PER_FLOW_FILE = {
        SnowpipeProperties.DATABASE,
        SnowpipeProperties.SCHEMA,
        SnowpipeProperties.PIPE,
        SnowpipeProperties.TABLE,
        SnowpipeProperties.CHANNEL_GROUP,
        SnowpipeProperties.TOKEN_START,
        SnowpipeProperties.TOKEN_END,
        SnowpipeProperties.TOKEN_PREVIOUS
    };

    /** The native side's shorter names of what here are expressions. */
    private static final String EXPRESSION_SUFFIX = " Expression";

    private static final String SIZE = "Size";
    private static final String RECORDS = "Records";
    private static final String RECORD_COUNT_ATTRIBUTE = "record.count";

    private Destination() {}

    /**
     * The announcement of one FlowFile.
     *
     * @throws IllegalArgumentException when an expression cannot be evaluated for it; the message says which and why
     */
    static Map<String, String> of(final ProcessContext context, final FlowFile flowFile) {
        final Map<String, String> values = of(context, value -> value.evaluateAttributeExpressions(flowFile));
        values.put(SIZE, Long.toString(flowFile.getSize()));
        final String records = flowFile.getAttribute(RECORD_COUNT_ATTRIBUTE);
        if (records != null) {
            values.put(RECORDS, records);
        }
        return values;
    }

    /** What can be said without a FlowFile, from attributes that a user gave for a verification. */
    static Map<String, String> of(final ProcessContext context, final Map<String, String> attributes) {
        return of(context, value -> value.evaluateAttributeExpressions(attributes));
    }

    /** What is blank, or does not apply to the kind of destination, is left out. */
    private static Map<String, String> of(final ProcessContext context, final UnaryOperator<PropertyValue> evaluation) {
        final boolean table = SnowpipeProperties.TO_TABLE
                .getValue()
                .equals(context.getProperty(SnowpipeProperties.DESTINATION_TYPE).getValue());
        final PropertyDescriptor other = table ? SnowpipeProperties.PIPE : SnowpipeProperties.TABLE;
        final Set<PropertyDescriptor> unused = unusedTokens(context);
        final Map<String, String> values = new LinkedHashMap<>();
        for (final PropertyDescriptor descriptor : PER_FLOW_FILE) {
            if (descriptor == other || unused.contains(descriptor)) {
                continue;
            }
            final String value = evaluated(context.getProperty(descriptor), descriptor, evaluation);
            if (value != null && !value.isBlank()) {
                values.put(name(descriptor), value.trim());
            }
        }
        return values;
    }

    /** NiFi's own message names the value of the FlowFile that an expression cannot use, but not the property. */
    private static String evaluated(
            final PropertyValue property,
            final PropertyDescriptor descriptor,
            final UnaryOperator<PropertyValue> evaluation) {
        try {
            return evaluation.apply(property).getValue();
        } catch (final TerminatedTaskException e) {
            throw e;
        } catch (final RuntimeException e) {
            final String text = "%s %s cannot be evaluated: %s"
                    .formatted(descriptor.getDisplayName(), property.getValue(), e.getMessage());
            throw new IllegalArgumentException(text, e);
        }
    }

    /** Properties that NiFi hides keep their values; without tracking those may be anything. */
    private static Set<PropertyDescriptor> unusedTokens(final ProcessContext context) {
        final boolean elastic = SnowpipeProperties.ELASTIC_CHANNEL
                .getValue()
                .equals(context.getProperty(SnowpipeProperties.CHANNEL_TYPE).getValue());
        final String tracking = context.getProperty(SnowpipeProperties.TRACKING).getValue();
        if (elastic || SnowpipeProperties.TRACK_DISABLED.getValue().equals(tracking)) {
            return Set.of(
                    SnowpipeProperties.TOKEN_START, SnowpipeProperties.TOKEN_END, SnowpipeProperties.TOKEN_PREVIOUS);
        }
        return SnowpipeProperties.TRACK_FLOW_FILE.getValue().equals(tracking)
                ? Set.of(SnowpipeProperties.TOKEN_START)
                : Set.of();
    }

    private static String name(final PropertyDescriptor descriptor) {
        final String name = descriptor.getName();
        return name.endsWith(EXPRESSION_SUFFIX) ? name.substring(0, name.length() - EXPRESSION_SUFFIX.length()) : name;
    }
}
