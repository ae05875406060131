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
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.Proxy;
import java.util.Collection;
import java.util.Map;
import org.apache.nifi.components.ValidationResult;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.proxy.ProxyConfiguration;
import org.apache.nifi.proxy.ProxyConfigurationService;
import org.apache.nifi.reporting.InitializationException;
import org.apache.nifi.util.MockProcessContext;
import org.apache.nifi.util.PropertyMigrationResult;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ProxiesTest {

    private final FakeBridge bridge = new FakeBridge();
    private final ProxyConfiguration configuration = new ProxyConfiguration();
    private TestRunner runner;

    @BeforeEach
    void createRunner() throws InitializationException {
        runner = TestRunners.newTestRunner(new ConsumeKinesis(() -> bridge));
        runner.setProperty(KinesisProperties.STREAM_NAME, "orders");
        runner.setProperty(KinesisProperties.APPLICATION_NAME, "app");
        runner.setProperty(KinesisProperties.REGION, "us-west-2");
        configuration.setProxyType(Proxy.Type.HTTP);
        configuration.setProxyServerHost("proxy.internal");
        configuration.setProxyServerPort(3128);
    }

    @Test
    void addressAndLoginOfTheProxyCross() throws InitializationException {
        configuration.setProxyUserName("user");
        configuration.setProxyUserPassword("p@ss:word");
        final Map<String, String> config = open();
        assertEquals("HTTP", config.get("Proxy Type"));
        assertEquals("proxy.internal", config.get("Proxy Server Host"));
        assertEquals("3128", config.get("Proxy Server Port"));
        assertEquals("user", config.get("Proxy User Name"));
        assertEquals("p@ss:word", config.get("Proxy User Password"));
    }

    @Test
    void withoutLoginNoneIsSent() throws InitializationException {
        assertFalse(open().containsKey("Proxy User Name"));
    }

    @Test
    void directMeansNoProxyAtAll() throws InitializationException {
        configuration.setProxyType(Proxy.Type.DIRECT);
        final Map<String, String> config = open();
        assertEquals("DIRECT", config.get("Proxy Type"));
        assertFalse(config.containsKey("Proxy Server Host"));
    }

    @Test
    void aKindThatCannotBeUsedIsInvalidAndSaysWhatCan() throws InitializationException {
        configuration.setProxyType(Proxy.Type.SOCKS);
        useService();
        final Collection<ValidationResult> results = ((MockProcessContext) runner.getProcessContext()).validate();
        assertTrue(
                results.stream()
                        .anyMatch(result -> !result.isValid()
                                && result.getExplanation().contains("SOCKS")
                                && result.getExplanation().contains("HTTP")),
                results.toString());
    }

    @Test
    void upstreamsPropertyIsTakenOver() {
        runner.setProperty("proxy-configuration-service", "some-service");
        final PropertyMigrationResult result = runner.migrateProperties();
        assertEquals(Proxies.SERVICE.getName(), result.getPropertiesRenamed().get("proxy-configuration-service"));
    }

    private Map<String, String> open() throws InitializationException {
        useService();
        runner.assertValid();
        runner.run();
        return bridge.configurations.getFirst();
    }

    private void useService() throws InitializationException {
        final Service service = new Service(configuration);
        runner.addControllerService("proxy", service);
        runner.enableControllerService(service);
        runner.setProperty(Proxies.SERVICE, "proxy");
    }

    private static final class Service extends AbstractControllerService implements ProxyConfigurationService {

        private final ProxyConfiguration configuration;

        Service(final ProxyConfiguration configuration) {
            this.configuration = configuration;
        }

        @Override
        public ProxyConfiguration getConfiguration() {
            return configuration;
        }
    }
}
