package soak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Set;
import org.apache.nifi.components.PropertyDescriptor;
import org.apache.nifi.components.Validator;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.processor.AbstractProcessor;
import org.apache.nifi.processor.ProcessContext;
import org.apache.nifi.processor.ProcessSession;
import org.apache.nifi.processor.Relationship;
import org.apache.nifi.processor.exception.ProcessException;

/** Writes each FlowFile into a folder, named after where its record was. What comes again after a crash has one name. */
public final class KeepFiles extends AbstractProcessor {

    private static final PropertyDescriptor FOLDER = new PropertyDescriptor.Builder()
            .name("Folder")
            .required(true)
            .addValidator(Validator.VALID)
            .build();

    @Override
    protected List<PropertyDescriptor> getSupportedPropertyDescriptors() {
        return List.of(FOLDER);
    }

    @Override
    public Set<Relationship> getRelationships() {
        return Set.of();
    }

    @Override
    public void onTrigger(final ProcessContext context, final ProcessSession session) {
        final Path folder = Path.of(context.getProperty(FOLDER).getValue());
        final List<FlowFile> flowFiles = session.get(100);
        for (final FlowFile flowFile : flowFiles) {
            final Path unfinished = folder.resolve(".unfinished");
            session.exportTo(flowFile, unfinished, false);
            try {
                Files.move(unfinished, folder.resolve(name(flowFile)), StandardCopyOption.REPLACE_EXISTING);
            } catch (final IOException e) {
                throw new ProcessException(e);
            }
        }
        session.remove(flowFiles);
    }

    private static String name(final FlowFile flowFile) {
        final String uuid = flowFile.getAttribute("uuid");
        if (flowFile.getAttribute("record.error.message") == null) {
            return "invalid~" + uuid;
        }
        return String.join(
                "~",
                "failure",
                flowFile.getAttribute("aws.kinesis.shard.id"),
                flowFile.getAttribute("aws.kinesis.first.sharded.sequence.number"),
                uuid);
    }
}
