/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.processor.AbstractSessionFactoryProcessor;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The delivered flow against the processors that it uses. */
class FlowDefinitionTest {

    private static final Path FILE = Path.of("..", "flow-definitions", "kinesis-to-snowflake.json");
    private static final Pattern REFERENCE = Pattern.compile("#\\{'?([^}']+)'?}");
    private static final String CONTEXT = "Kinesis to Snowflake Parameters";

    private static final Set<String> REQUIRED_PARAMETERS = Set.of(
            "AWS Access Key ID",
            "AWS Secret Access Key",
            "AWS Kinesis Region",
            "AWS Kinesis Application Name",
            "AWS Kinesis Consumer Type",
            "AWS Kinesis Initial Stream Position",
            "AWS Kinesis Stream Name",
            "Snowflake Destination Database",
            "Snowflake Destination Schema",
            "Snowflake Destination Table");
    private static final Set<String> FURTHER_PARAMETERS = Set.of(
            "Snowflake Authentication Strategy",
            "Snowflake Account Identifier",
            "Snowflake Username",
            "Snowflake Role",
            "Snowflake Private Key",
            "Snowflake Private Key Password",
            "AWS Endpoint Override URL",
            "Snowflake Endpoint Override URL");

    private static JsonNode flow;
    private static JsonNode group;
    private static final Map<String, JsonNode> PARAMETERS = new HashMap<>();

    @BeforeAll
    static void read() throws IOException {
        flow = new ObjectMapper().readTree(FILE.toFile());
        group = flow.get("flowContents");
        flow.at("/parameterContexts")
                .get(CONTEXT)
                .get("parameters")
                .forEach(p -> PARAMETERS.put(p.get("name").asText(), p));
    }

    @Test
    void parametersAreThoseThatUsersKnow() {
        final Set<String> expected = new TreeSet<>(REQUIRED_PARAMETERS);
        expected.addAll(FURTHER_PARAMETERS);
        assertEquals(expected, new TreeSet<>(PARAMETERS.keySet()));
        assertEquals(CONTEXT, group.get("parameterContextName").asText());
        PARAMETERS
                .values()
                .forEach(p -> assertFalse(p.path("description").asText().isBlank(), p::toString));
    }

    @Test
    void sensitiveParametersHaveNoValue() {
        PARAMETERS.values().stream()
                .filter(p -> p.get("sensitive").asBoolean())
                .forEach(p -> assertFalse(p.has("value"), () -> p.get("name") + " has a value"));
    }

    @Test
    void everyPropertyIsKnownAndItsReferencesResolve() {
        final Set<String> used = new HashSet<>();
        for (final JsonNode node : group.get("processors")) {
            final AbstractSessionFactoryProcessor processor = processor(node);
            node.get("properties").properties().forEach(entry -> {
                final PropertyDescriptor descriptor = descriptor(processor, entry.getKey());
                final String value = entry.getValue().asText();
                final Matcher references = REFERENCE.matcher(value);
                boolean referring = false;
                while (references.find()) {
                    referring = true;
                    final JsonNode parameter = PARAMETERS.get(references.group(1));
                    assertNotNull(parameter, value);
                    assertEquals(
                            descriptor.isSensitive(), parameter.get("sensitive").asBoolean(), value);
                    used.add(references.group(1));
                }
                assertTrue(referring || !descriptor.isSensitive(), () -> entry.getKey() + " is a secret in the flow");
                if (!referring) {
                    assertAllowed(descriptor, value);
                } else if (PARAMETERS.get(reference(value)).has("value")) {
                    assertAllowed(
                            descriptor,
                            PARAMETERS.get(reference(value)).get("value").asText());
                }
            });
        }
        assertEquals(PARAMETERS.keySet(), used, "every parameter is used");
    }

    @Test
    void processorsAreValidWithTheParametersThatAUserSets() {
        final Map<String, String> values = new HashMap<>();
        PARAMETERS.forEach(
                (name, parameter) -> values.put(name, parameter.path("value").asText("")));
        values.putAll(Map.of(
                "AWS Access Key ID", "id",
                "AWS Secret Access Key", "secret",
                "AWS Kinesis Region", "eu-west-1",
                "AWS Kinesis Application Name", "app",
                "AWS Kinesis Stream Name", "stream",
                "Snowflake Destination Database", "DB",
                "Snowflake Destination Schema", "PUBLIC",
                "Snowflake Destination Table", "T",
                "Snowflake Account Identifier", "org-account",
                "Snowflake Username", "USER"));
        values.put("Snowflake Private Key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----");
        for (final JsonNode node : group.get("processors")) {
            runner(node, values).assertValid();
        }
        values.put("Snowflake Private Key", "");
        values.put("Snowflake Account Identifier", "");
        values.put("Snowflake Username", "");
        values.put("Snowflake Authentication Strategy", "SNOWFLAKE_MANAGED");
        for (final JsonNode node : group.get("processors")) {
            runner(node, values).assertValid();
        }
        values.put("Snowflake Authentication Strategy", "KEY_PAIR");
        values.put("AWS Kinesis Stream Name", "");
        for (final JsonNode node : group.get("processors")) {
            runner(node, values).assertNotValid();
        }
    }

    @Test
    void everyRelationshipLeadsSomewhere() {
        for (final JsonNode node : group.get("processors")) {
            final Set<String> led = new HashSet<>();
            node.get("autoTerminatedRelationships").forEach(r -> led.add(r.asText()));
            for (final JsonNode connection : group.get("connections")) {
                if (connection.at("/source/id").equals(node.get("identifier"))) {
                    connection.get("selectedRelationships").forEach(r -> led.add(r.asText()));
                }
            }
            assertEquals(
                    processor(node).getRelationships().stream()
                            .map(Relationship::getName)
                            .collect(Collectors.toSet()),
                    led);
        }
    }

    @Test
    void rowsQueueInOrderWithBackPressure() {
        for (final JsonNode connection : group.get("connections")) {
            assertEquals(
                    "org.apache.nifi.prioritizer.FirstInFirstOutPrioritizer",
                    connection.at("/prioritizers/0").asText());
            assertTrue(connection.get("backPressureObjectThreshold").asLong() > 0);
            assertEquals("0 sec", connection.get("flowFileExpiration").asText());
            assertEquals(
                    "DO_NOT_LOAD_BALANCE", connection.get("loadBalanceStrategy").asText());
        }
    }

    @Test
    void identifiersAreUniqueAndConnectionsEndSomewhere() {
        final Set<String> identifiers = new HashSet<>();
        for (final String kind : List.of("processors", "connections", "funnels", "labels")) {
            for (final JsonNode component : group.get(kind)) {
                final String identifier = component.get("identifier").asText();
                assertEquals(identifier, UUID.fromString(identifier).toString());
                assertTrue(identifiers.add(identifier), identifier);
                assertEquals(group.get("identifier"), component.get("groupIdentifier"));
            }
        }
        for (final JsonNode connection : group.get("connections")) {
            assertTrue(identifiers.contains(connection.at("/source/id").asText()));
            assertTrue(identifiers.contains(connection.at("/destination/id").asText()));
        }
    }

    private static TestRunner runner(final JsonNode node, final Map<String, String> values) {
        final TestRunner runner = TestRunners.newTestRunner(processor(node));
        node.get("properties")
                .properties()
                .forEach(entry -> runner.setProperty(
                        entry.getKey(),
                        REFERENCE
                                .matcher(entry.getValue().asText())
                                .replaceAll(match -> Matcher.quoteReplacement(values.get(match.group(1))))));
        return runner;
    }

    private static void assertAllowed(final PropertyDescriptor descriptor, final String value) {
        if (descriptor.getAllowableValues() != null) {
            assertTrue(
                    descriptor.getAllowableValues().stream()
                            .anyMatch(allowed -> allowed.getValue().equals(value)),
                    () -> descriptor.getName() + " does not allow " + value);
        }
    }

    private static String reference(final String value) {
        final Matcher matcher = REFERENCE.matcher(value);
        assertTrue(matcher.matches(), value);
        return matcher.group(1);
    }

    private static AbstractSessionFactoryProcessor processor(final JsonNode node) {
        return switch (node.get("type").asText()) {
            case "io.shardflow.nifi.processors.ConsumeKinesis" -> new ConsumeKinesis();
            case "io.shardflow.nifi.processors.PublishSnowpipeStreaming" -> new PublishSnowpipeStreaming();
            default -> throw new AssertionError(node.get("type"));
        };
    }

    private static PropertyDescriptor descriptor(final AbstractSessionFactoryProcessor processor, final String name) {
        return processor.getPropertyDescriptors().stream()
                .filter(descriptor -> descriptor.getName().equals(name))
                .findFirst()
                .orElseThrow(
                        () -> new AssertionError(processor.getClass().getSimpleName() + " has no property " + name));
    }
}
