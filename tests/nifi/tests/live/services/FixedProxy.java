package test;

import java.net.Proxy;
import java.util.List;
import org.apache.nifi.annotation.lifecycle.OnEnabled;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.controller.AbstractControllerService;
import org.apache.nifi.controller.ConfigurationContext;
import org.apache.nifi.proxy.ProxyConfiguration;
import org.apache.nifi.proxy.ProxyConfigurationService;

/** Names the HTTP proxy on a port of this machine, with a login. */
public class FixedProxy extends AbstractControllerService implements ProxyConfigurationService {

    private static final PropertyDescriptor PORT = required("Port");
    private static final PropertyDescriptor USER = required("User");
    private static final PropertyDescriptor PASSWORD = required("Password");

    private final ProxyConfiguration configuration = new ProxyConfiguration();

    private static PropertyDescriptor required(final String name) {
        return new PropertyDescriptor.Builder()
                .name(name)
                .required(true)
                .addValidator(Validator.VALID)
                .build();
    }

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return List.of(PORT, USER, PASSWORD);
    }

    @OnEnabled
    public void enable(final ConfigurationContext context) {
        configuration.setProxyType(Proxy.Type.HTTP);
        configuration.setProxyServerHost("127.0.0.1");
        configuration.setProxyServerPort(context.getProperty(PORT).asInteger());
        configuration.setProxyUserName(context.getProperty(USER).getValue());
        configuration.setProxyUserPassword(context.getProperty(PASSWORD).getValue());
    }

    @Override
    public ProxyConfiguration getConfiguration() {
        return configuration;
    }
}
