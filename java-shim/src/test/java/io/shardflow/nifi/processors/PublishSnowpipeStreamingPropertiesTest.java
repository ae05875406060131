/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static io.shardflow.nifi.processors.PublishSnowpipeStreamingTest.PEM;
import static io.shardflow.nifi.processors.PublishSnowpipeStreamingTest.ROWS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.NoSuchAlgorithmException;
import java.security.PrivateKey;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.nifi.components.ConfigVerificationResult;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.key.service.api.PrivateKeyService;
import org.apache.nifi.reporting.InitializationException;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the publisher's properties mean, and where they come from. */
class PublishSnowpipeStreamingPropertiesTest {

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = PublishSnowpipeStreamingTest.configured(bridge);
    }

    @Test
    void announcementHoldsWhatThePropertiesSayForTheFlowFile() {
        runner.enqueue(
                ROWS,
                Map.of(
                        "start", "101",
                        "end", "102",
                        "shard", "shard-1",
                        "table", "ORDERS",
                        "record.count", "2",
                        "aws.kinesis.previous.sharded.sequence.number", "100"));
        runner.run();
        assertEquals(
                Map.of(
                        "Database", "DB",
                        "Schema", "PUBLIC",
                        "Table", "ORDERS",
                        "Channel Group", "shard-1",
                        "Offset Token Start", "101",
                        "Offset Token End", "102",
                        "Offset Token Previous", "100",
                        "Size", Integer.toString(ROWS.length()),
                        "Records", "2"),
                sink.begun.getFirst());
    }

    @Test
    void thePasswordOfTheKeyKeepsItsWhiteSpace() {
        runner.setProperty(SnowpipeProperties.PRIVATE_KEY_PASSWORD, " pass word ");
        runner.run();
        assertEquals(" pass word ", bridge.configurations.getFirst().get("Private Key Password"));
    }

    @Test
    void exactlyOneSourceOfThePrivateKey() throws InitializationException, NoSuchAlgorithmException {
        runner.assertValid();
        final KeyPair pair = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        runner.addControllerService("keys", new Keys(pair.getPrivate()));
        runner.enableControllerService(runner.getControllerService("keys"));
        runner.setProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE, "keys");
        runner.assertNotValid();
        runner.removeProperty(SnowpipeProperties.PRIVATE_KEY);
        runner.assertValid();
        runner.run();

        final String pem = bridge.configurations.getFirst().get("Private Key");
        assertTrue(pem.startsWith("-----BEGIN PRIVATE KEY-----\n"));
        assertArrayEquals(
                pair.getPrivate().getEncoded(),
                java.util.Base64.getMimeDecoder()
                        .decode(pem.lines()
                                .filter(line -> !line.startsWith("-"))
                                .collect(Collectors.joining())));
        runner.removeProperty(SnowpipeProperties.PRIVATE_KEY_SERVICE);
        runner.assertNotValid();
    }

    @Test
    void configurationCrossesInMillisecondsAndBytes() {
        runner.setProperty(SnowpipeProperties.ROLE, "");
        runner.run();
        assertEquals(
                Map.ofEntries(
                        Map.entry("Authentication Strategy", "KEY_PAIR"),
                        Map.entry("Connection Strategy", "STANDARD"),
                        Map.entry("Channel Type", "STANDARD"),
                        Map.entry("Account", "org-account"),
                        Map.entry("User", "LOADER"),
                        Map.entry("Private Key", PEM.trim()),
                        Map.entry("Destination Type", "TABLE"),
                        Map.entry("Offset Tracking Resolution", "RECORD"),
                        Map.entry("Offset Token Record Pointer", "/n"),
                        Map.entry("Invalid Rows", "FLOW_FILE"),
                        Map.entry("Gap Strategy", "WAIT"),
                        Map.entry("Compression Level", "1"),
                        Map.entry("Offset Tracking Timeout", "90000"),
                        Map.entry("Channel Insert Timeout", "30000"),
                        Map.entry("Gap Timeout", "300000"),
                        Map.entry("Memory Budget", "67108864")),
                bridge.configurations.getFirst());
    }

    @Test
    void flowsOfSnowflakesProcessorAreCarriedOver() {
        final TestRunner table = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        table.setProperty("Pipe", "ORDERS-STREAMING");
        table.setProperty("Transfer Strategy", "MANAGED");
        table.migrateProperties();
        assertEquals("ORDERS", table.getProcessContext().getAllProperties().get("Table"));
        assertEquals("TABLE", table.getProcessContext().getAllProperties().get("Destination Type"));
        assertFalse(table.getProcessContext().getAllProperties().containsKey("Transfer Strategy"));

        final TestRunner pipe = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        pipe.setProperty("Pipe", "ORDERS_PIPE");
        pipe.migrateProperties();
        assertEquals("PIPE", pipe.getProcessContext().getAllProperties().get("Destination Type"));
    }

    @Test
    void aCompleteConfigurationOfSnowflakesProcessorIsTakenOver() throws Exception {
        final TestRunner official = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        final KeyPair pair = KeyPairGenerator.getInstance("RSA").generateKeyPair();
        official.addControllerService("keys", new Keys(pair.getPrivate()));
        official.enableControllerService(official.getControllerService("keys"));
        final Map<String, String> kept = Map.ofEntries(
                Map.entry("Authentication Strategy", "KEY_PAIR"),
                Map.entry("Connection Strategy", "PRIVATE_CONNECTIVITY"),
                Map.entry("Account", "org-account"),
                Map.entry("User", "LOADER"),
                Map.entry("Role", "LOADING"),
                Map.entry("Private Key Service", "keys"),
                Map.entry("Destination Type", "TABLE"),
                Map.entry("Database", "DB"),
                Map.entry("Schema", "PUBLIC"),
                Map.entry("Table", "ORDERS"),
                Map.entry("Channel Type", "STANDARD"),
                Map.entry("Offset Tracking Timeout", "90 s"),
                Map.entry("Offset Tracking Resolution", "RECORD"),
                Map.entry("Offset Token Start Expression", "${start}"),
                Map.entry("Offset Token End Expression", "${end}"),
                Map.entry("Offset Token Record Pointer", "/n"),
                Map.entry("Channel Group", "SHARED"),
                Map.entry("Channel Insert Timeout", "30 s"));
        kept.forEach(official::setProperty);
        official.setProperty("Web Client Service Provider", "web");
        official.setProperty("Transfer Strategy", "FILE_FRAGMENTS");
        official.setProperty("File Fragment Size", "64 MB");
        official.setProperty("File Fragment Count", "4");
        official.migrateProperties();

        official.assertValid();
        final Map<String, String> after = official.getProcessContext().getAllProperties();
        kept.forEach((name, value) -> assertEquals(value, after.get(name), name));
        final String warning = official.getLogger().getWarnMessages().getFirst().getMsg();
        for (final String gone : List.of(
                "Web Client Service Provider", "Transfer Strategy", "File Fragment Size", "File Fragment Count")) {
            assertFalse(after.containsKey(gone), gone);
            assertTrue(warning.contains(gone), warning);
        }
        assertTrue(official.getLogger().getErrorMessages().isEmpty());
    }

    @Test
    void propertiesHaveTheDefaultsOfSnowflakesProcessor() {
        final Map<String, String> defaults = Map.of(
                "Authentication Strategy", "KEY_PAIR",
                "Connection Strategy", "STANDARD",
                "Destination Type", "TABLE",
                "Channel Type", "STANDARD",
                "Offset Tracking Timeout", "90 sec",
                "Offset Tracking Resolution", "DISABLED",
                "Channel Group", "SHARED",
                "Channel Insert Timeout", "30 sec");
        defaults.forEach((name, value) -> assertEquals(
                value,
                SnowpipeProperties.ALL.stream()
                        .filter(descriptor -> descriptor.getName().equals(name))
                        .findFirst()
                        .orElseThrow()
                        .getDefaultValue(),
                name));
    }

    @Test
    void aManagedRuntimeNeedsNoUserAndNoKey() {
        final TestRunner managed = TestRunners.newTestRunner(new PublishSnowpipeStreaming(() -> bridge));
        managed.setProperty(SnowpipeProperties.AUTHENTICATION, SnowpipeProperties.MANAGED);
        managed.setProperty(SnowpipeProperties.DATABASE, "DB");
        managed.setProperty(SnowpipeProperties.SCHEMA, "PUBLIC");
        managed.setProperty(SnowpipeProperties.TABLE, "T");
        managed.assertValid();
        managed.run();
        assertEquals("SNOWFLAKE_MANAGED", bridge.configurations.getFirst().get("Authentication Strategy"));
        managed.setProperty(SnowpipeProperties.AUTHENTICATION, SnowpipeProperties.KEY_PAIR);
        managed.assertNotValid();
    }

    @Test
    void verificationSaysWhichExpressionFails() {
        runner.setProperty(SnowpipeProperties.CHANNEL_GROUP, "${day:toDate('yyyy-MM-dd'):format('yyyy')}");
        final ConfigVerificationResult result = ((PublishSnowpipeStreaming) runner.getProcessor())
                .verify(runner.getProcessContext(), runner.getLogger(), Map.of("day", "Monday"))
                .getFirst();

        assertEquals(ConfigVerificationResult.Outcome.FAILED, result.getOutcome());
        assertTrue(result.getExplanation().contains("Channel Group ${day"), result.getExplanation());
        assertTrue(result.getExplanation().contains("Monday"), result.getExplanation());
    }

    private static final class Keys extends AbstractControllerService implements PrivateKeyService {

        private final PrivateKey key;

        private Keys(final PrivateKey key) {
            this.key = key;
        }

        @Override
        public PrivateKey getPrivateKey() {
            return key;
        }
    }
}
