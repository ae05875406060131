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
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.nifi.components.state.Scope;
import org.apache.nifi.util.PropertyMigrationResult;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The reader's properties: what is valid, how they cross, and those of other flows. */
class ConsumeKinesisPropertiesTest {

    private final FakeBridge bridge = new FakeBridge();
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = ConsumeKinesisTest.configured(new ConsumeKinesis(() -> bridge));
    }

    @Test
    void demarcatorCrossesWithItsWhiteSpaceAndOnlyWhereItCounts() {
        runner.setProperty(KinesisProperties.PROCESSING_STRATEGY, KinesisProperties.DEMARCATOR);
        runner.assertNotValid();
        runner.setProperty(KinesisProperties.MESSAGE_DEMARCATOR, " \n");
        runner.run();
        assertEquals(" \n", bridge.configurations.getFirst().get("Message Demarcator"));
        assertFalse(bridge.configurations.getFirst().containsKey("Record Reader"));

        runner.setProperty(KinesisProperties.PROCESSING_STRATEGY, KinesisProperties.LINE_DELIMITED);
        runner.run();
        assertFalse(bridge.configurations.getLast().containsKey("Message Demarcator"));
    }

    @Test
    void configurationCrossesInMillisecondsAndBytes() {
        runner.setProperty(KinesisProperties.MAX_BATCH_DURATION, "2 sec");
        runner.setProperty(KinesisProperties.MAX_BATCH_SIZE, "1 KB");
        runner.setProperty(KinesisProperties.ENDPOINT, " ");
        runner.run();

        final Map<String, String> config = new HashMap<>(bridge.configurations.getFirst());
        assertFalse(config.remove("Node Id").isBlank());
        assertEquals(
                Map.ofEntries(
                        Map.entry("Stream Name", "orders"),
                        Map.entry("Application Name", "app"),
                        Map.entry("Region", "us-west-2"),
                        Map.entry("Consumer Type", "SHARED_THROUGHPUT"),
                        Map.entry("Processing Strategy", "RECORD"),
                        Map.entry("Output Strategy", "INJECT_METADATA"),
                        Map.entry("Approximate Arrival Format", "ISO_8601"),
                        Map.entry("Initial Stream Position", "TRIM_HORIZON"),
                        Map.entry("Max Records Per Request", "1000"),
                        Map.entry("Max Batch Duration", "2000"),
                        Map.entry("Max Batch Size", "1024"),
                        Map.entry("Shard Order", "PARENTS_FIRST"),
                        Map.entry("Wire Format", "CBOR"),
                        Map.entry("Memory Budget", "67108864")),
                config);
    }

    @Test
    void nodeIdOutlivesRestartsAndDiffersBetweenNodes() {
        runner.run();
        runner.run();
        final String first = bridge.configurations.get(0).get("Node Id");
        assertEquals(first, bridge.configurations.get(1).get("Node Id"));
        runner.getStateManager().assertStateEquals(NodeId.KEY, first, Scope.LOCAL);

        createRunner();
        runner.run();
        assertNotEquals(first, bridge.configurations.get(2).get("Node Id"));
    }

    @Test
    void credentialsAreCompleteOrAbsent() {
        runner.assertValid();
        runner.setProperty(KinesisProperties.ACCESS_KEY_ID, "AKIA");
        runner.assertNotValid();
        runner.setProperty(KinesisProperties.SECRET_ACCESS_KEY, "secret");
        runner.assertValid();
    }

    @Test
    void valuesOutsideTheirDomainAreInvalid() {
        final Map<String, List<String>> wrong = Map.of(
                "Region", List.of("frankfurt", "us_west_2", ""),
                "Max Records Per Request", List.of("0", "10001", "many"),
                "Max Batch Duration", List.of("0 ms", "soon", "2 hours"),
                "Max Batch Size", List.of("0 B", "large"),
                "Endpoint Override URL", List.of("localhost:4566", "ftp://host"),
                "Processing Strategy", List.of("BATCH"));
        wrong.forEach((property, values) -> values.forEach(value -> {
            createRunner();
            runner.setProperty(property, value);
            runner.assertNotValid();
        }));
        for (final String region : List.of("eu-west-1", "us-gov-west-1", "ap-southeast-5", "us-isob-east-1")) {
            createRunner();
            runner.setProperty("Region", region);
            runner.assertValid();
        }
        createRunner();
        runner.setProperty(KinesisProperties.INITIAL_POSITION, KinesisProperties.AT_TIMESTAMP);
        runner.assertNotValid();
        runner.setProperty(KinesisProperties.POSITION_TIMESTAMP, "2026-01-31T12:00:00Z");
        runner.assertValid();
    }

    @Test
    void propertiesOfUpstreamsFlowsAreCarriedOver() {
        final Map<String, String> former = new HashMap<>();
        former.put("Region", "use-custom-region");
        former.put("Custom Region", "eu-new-1");
        former.put("Max Bytes to Buffer", "100 MB");
        former.put("Checkpoint Interval", "5 sec");
        former.put("Processing Strategy", "RECORD");
        former.put("Record Reader", "some-service");
        former.put("Record Writer", "some-service");
        final TestRunner migrating = TestRunners.newTestRunner(new ConsumeKinesis(() -> bridge));
        former.forEach(migrating::setProperty);
        final PropertyMigrationResult result = migrating.migrateProperties();

        assertEquals("Max Batch Size", result.getPropertiesRenamed().get("Max Bytes to Buffer"));
        assertTrue(result.getPropertiesRemoved()
                .containsAll(List.of("Custom Region", "Checkpoint Interval", "Record Reader", "Record Writer")));
        assertTrue(migrating.getLogger().getWarnMessages().getFirst().getMsg().contains("Record Reader"));
        assertEquals(
                "eu-new-1", migrating.getProcessContext().getAllProperties().get("Region"));
        assertEquals(
                Map.of("parse.failure", "parse-failure"),
                migrating.migrateRelationships().getRenamedRelationships());
    }

    @Test
    void upstreamsOtherStrategiesMoveOverWithoutAWord() {
        for (final String strategy : List.of("FLOW_FILE", "LINE_DELIMITED", "DEMARCATOR")) {
            final TestRunner migrating = TestRunners.newTestRunner(new ConsumeKinesis(() -> bridge));
            migrating.setProperty("Processing Strategy", strategy);
            migrating.setProperty("Message Demarcator", "|");
            final PropertyMigrationResult result = migrating.migrateProperties();
            assertFalse(result.getPropertiesRemoved().contains("Message Demarcator"));
            assertTrue(migrating.getLogger().getWarnMessages().isEmpty());
        }
    }
}
